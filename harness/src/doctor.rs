//! `ordeal doctor`: what this machine can do, each facility tried.

//! `ordeal node`: one embedded node, with etcd's flags.

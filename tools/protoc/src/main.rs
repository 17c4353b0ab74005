//! The part of `protoc`'s command line that prost's and tonic's build scripts use:
//! include paths, input files, and a descriptor set written to a file.

use prost::Message;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut includes: Vec<String> = Vec::new();
    let mut files: Vec<String> = Vec::new();
    let mut output = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Both build libraries ask for a version before they use it.
            "--version" => {
                println!("libprotoc 25.0");
                return ExitCode::SUCCESS;
            }
            "-I" => includes.extend(arguments.next()),
            "-o" => output = arguments.next(),
            other => match (other.strip_prefix("-I"), other.strip_prefix("--descriptor_set_out=")) {
                (Some(path), _) => includes.push(path.to_owned()),
                (_, Some(path)) => output = Some(path.to_owned()),
                _ if other.starts_with("--") => {}
                _ => files.push(other.to_owned()),
            },
        }
    }
    match compile(&includes, &files, output.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn compile(includes: &[String], files: &[String], output: Option<&str>) -> Result<(), String> {
    let output = output.ok_or("ordeal-protoc writes descriptor sets only: -o FILE is missing")?;
    let includes: &[String] = if includes.is_empty() { &[".".to_owned()] } else { includes };
    let set = protox::Compiler::new(includes)
        .map_err(|e| e.to_string())?
        .include_imports(true)
        .include_source_info(true)
        .open_files(files)
        .map_err(|e| format!("{e:?}"))?
        .file_descriptor_set();
    std::fs::write(output, set.encode_to_vec()).map_err(|e| format!("{output}: {e}"))
}

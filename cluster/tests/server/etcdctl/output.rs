//! What a command writes.

use std::io::{Read, Write};
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ordeal_cluster::proto::etcdserverpb::{
    DeleteRangeResponse, PutResponse, RangeResponse, TxnResponse,
};
use prost::Message;

use crate::differential::etcd::PATIENCE;

fn reader(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).expect("a pipe");
        bytes
    })
}

/// What a command writes, as output and as errors, and its status; none if it does not end.
pub fn output(mut command: Command, input: &str) -> (Vec<u8>, Vec<u8>, Option<i32>) {
    let mut child = command.spawn().expect("it ran before");
    let mut stdin = child.stdin.take().expect("a pipe");
    // It may end without having read.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let stdout = reader(child.stdout.take().expect("a pipe"));
    let stderr = reader(child.stderr.take().expect("a pipe"));
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().expect("it is ours") {
            break Some(status.code().unwrap_or(-1));
        }
        if Instant::now() >= deadline {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let [stdout, stderr] = [stdout, stderr].map(|reader| reader.join().expect("it reads"));
    (stdout, stderr, status)
}

/// Text of whole lines.
pub fn text(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// What `-w protobuf` shows of a command.
pub fn decoded(line: &str, bytes: &[u8]) -> String {
    fn show<M: Message + Default + std::fmt::Debug>(bytes: &[u8]) -> String {
        M::decode(bytes).map_or_else(|error| error.to_string(), |message| format!("{message:?}"))
    }
    match line.split(' ').next() {
        Some("get") => show::<RangeResponse>(bytes),
        Some("put") => show::<PutResponse>(bytes),
        Some("del") => show::<DeleteRangeResponse>(bytes),
        Some("txn") => show::<TxnResponse>(bytes),
        other => panic!("what {other:?} shows cannot be decoded"),
    }
}

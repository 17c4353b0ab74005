//! Generates the messages and the server stubs from `proto/`, and a description of both for what is
//! served as JSON.

fn main() -> std::io::Result<()> {
    let folder = std::env::var_os("OUT_DIR").ok_or_else(|| std::io::Error::other("no OUT_DIR"))?;
    tonic_prost_build::configure()
        .file_descriptor_set_path(std::path::Path::new(&folder).join("api.bin"))
        .build_client(false)
        .bytes(".")
        .boxed(".etcdserverpb.RequestOp.request.request_txn")
        .compile_protos(
            &[
                "proto/rpc.proto",
                "proto/auth_rpc.proto",
                "proto/lease.proto",
                "proto/watch.proto",
                "proto/lock.proto",
                "proto/election.proto",
                "proto/health.proto",
                "proto/backend.proto",
                "proto/internal.proto",
            ],
            &["proto"],
        )
}

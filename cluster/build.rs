//! Generates the messages and the server stubs from `proto/`.

fn main() -> std::io::Result<()> {
    tonic_prost_build::configure()
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
                "proto/internal.proto",
            ],
            &["proto"],
        )
}

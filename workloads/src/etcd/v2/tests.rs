use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[test]
fn each_request_is_written_as_etcd_reads_it() {
    let key = || "ordeal/v2/k 1".to_owned();
    let set = |condition| V2::Set { key: key(), value: "1&2".to_owned(), condition };
    let rows = [
        (V2::Get { key: key(), quorum: true }, "GET /v2/keys/ordeal/v2/k%201?quorum=true"),
        (set(None), "PUT /v2/keys/ordeal/v2/k%201?"),
        (
            set(Some(V2Condition::PrevValue("a b".to_owned()))),
            "PUT /v2/keys/ordeal/v2/k%201?prevValue=a%20b",
        ),
        (set(Some(V2Condition::PrevIndex(7))), "PUT /v2/keys/ordeal/v2/k%201?prevIndex=7"),
        (set(Some(V2Condition::PrevExist(false))), "PUT /v2/keys/ordeal/v2/k%201?prevExist=false"),
    ];
    for (asked, line) in rows {
        let request = request("n1:2379", &asked).expect("a request");
        assert_eq!(format!("{} {}", request.method(), request.uri()), line);
    }
}

#[test]
fn only_what_etcd_defines_as_not_happened_is_a_fail() {
    let refusal =
        |code: u32| format!(r#"{{"errorCode":{code},"message":"m","cause":"[1 != 2]","index":9}}"#);
    let differs = V2Said::Differs { cause: "[1 != 2]".to_owned() };
    assert_eq!(differs.actual(), Some("2"));
    let node = r#"{"action":"get","node":{"key":"/k","value":"1","modifiedIndex":5}}"#;
    let node_said = V2Said::Node { value: "1".to_owned(), modified: 5 };
    let said = [
        (200, node.to_owned(), node_said),
        (404, refusal(100), V2Said::Missing),
        (412, refusal(101), differs),
        (412, refusal(105), V2Said::Exists),
    ];
    for (status, body, expected) in said {
        let status = StatusCode::from_u16(status).expect("a status");
        assert_eq!(answer(status, body.as_bytes()), Ok(expected));
    }
    let errors = [
        (403, refusal(102), true),
        (401, refusal(110), true),
        (400, refusal(209), true),
        (404, "404 page not found\n".to_owned(), true),
        (500, refusal(300), false),
        (500, refusal(301), false),
        (400, refusal(401), false),
        (503, "Service Unavailable".to_owned(), false),
        (408, String::new(), false),
        (200, "no JSON".to_owned(), false),
    ];
    for (status, body, definite) in errors {
        let status = StatusCode::from_u16(status).expect("a status");
        let error = answer(status, body.as_bytes()).expect_err(&body);
        assert_eq!(matches!(error, StoreError::DidNotHappen(_)), definite, "{status} {body}");
    }
}

/// What a request comes to at a peer that reads it, answers so and goes away.
async fn asked_of(answer: &'static str) -> std::io::Result<Result<V2Said, StoreError>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let peer = async {
        let (mut stream, _) = listener.accept().await?;
        let mut request = [0; 4_096];
        let _ = stream.read(&mut request).await?;
        stream.write_all(answer.as_bytes()).await
    };
    let ask = async {
        let mut connection = OldConnection::open(&endpoint, &EtcdOptions::default()).await?;
        connection.ask(&V2::Get { key: "k".to_owned(), quorum: false }).await
    };
    let (said, peer) = tokio::join!(ask, peer);
    peer.map(|()| said)
}

#[test]
fn an_answer_is_read_and_a_connection_that_breaks_leaves_the_outcome_open() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let node = "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n\
                    {\"node\":{\"value\":\"1\",\"modifiedIndex\":5}}";
        let said = asked_of(node).await?;
        assert_eq!(said, Ok(V2Said::Node { value: "1".to_owned(), modified: 5 }));
        for cut in ["", "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{\"node\""] {
            let said = asked_of(cut).await?;
            assert!(matches!(said, Err(StoreError::Indeterminate(_))), "{said:?}");
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let opened = OldConnection::open(&format!("http://{free}"), &EtcdOptions::default()).await;
        assert!(
            matches!(opened.err(), Some(StoreError::DidNotHappen(why)) if why.contains("refused"))
        );
        Ok(())
    })
}

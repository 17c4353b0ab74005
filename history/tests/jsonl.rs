//! The JSON-lines format: what is read, what is refused and where, and the way back.

use ordeal_history::{
    Event, EventType, History, Outcome, Process, ReadError, ReadOptions, Value, Writer, read_jsonl,
};
use proptest::prelude::*;

const INVOKE: &str =
    r#"{"index":0,"time":1,"process":3,"type":"invoke","f":"write","key":"k1","value":17}"#;
const OK: &str =
    r#"{"index":1,"time":2,"process":3,"type":"ok","f":"write","key":"k1","value":17}"#;

fn read(text: impl AsRef<[u8]>) -> Result<History, ReadError> {
    read_jsonl(text.as_ref(), ReadOptions::default())
}

fn mistake(text: impl AsRef<[u8]>) -> (u64, u64, String) {
    match read(text.as_ref()) {
        Err(ReadError::Malformed(malformed)) => {
            (malformed.line, malformed.column, malformed.message)
        }
        other => panic!("{:?} gave {other:?}", String::from_utf8_lossy(text.as_ref())),
    }
}

#[test]
fn an_operation_is_paired_from_its_events() {
    let ok = OK.replace("\"value\":17", "\"value\":17,\"revision\":42,\"node\":\"n2\"");
    let history = read(format!("{INVOKE}\n{ok}\n")).unwrap();
    let operation = &history.operations[0];
    assert_eq!(history.events, 2);
    assert_eq!(operation.process, 3);
    assert_eq!(operation.key, Some(Value::from("k1")));
    assert_eq!(operation.outcome, Outcome::Ok);
    assert_eq!((operation.invoke, operation.complete), (0, Some(1)));
    assert_eq!((operation.revision, operation.node.as_deref()), (Some(42), Some("n2")));
}

#[test]
fn blank_lines_crlf_byte_order_mark_notes_and_unknown_fields_are_accepted() {
    for text in [
        format!("\u{feff}{INVOKE}\r\n\r\n  \n{OK}"),
        format!("{INVOKE}\n\n\n{}\n", OK.replace("\"time\"", "\"zebra\":{\"a\":[1,{}]},\"time\"")),
        format!(
            "{INVOKE}\n{OK}\n\
             {{\"index\":2,\"time\":2,\"process\":\"nemesis\",\"type\":\"info\",\"f\":\"kill\"}}"
        ),
    ] {
        assert_eq!(read(&text).unwrap().operations.len(), 1, "{text}");
    }
    assert_eq!(read("").unwrap().operations.len(), 0);
}

#[test]
fn each_broken_rule_is_named_with_line_and_column() {
    let info = OK.replace("\"ok\"", "\"info\"");
    let again = INVOKE.replace("\"index\":0", "\"index\":2").replace("\"time\":1", "\"time\":2");
    for (text, line, column, message) in [
        (INVOKE.replace("\"index\":0", "\"index\":1"), 1, 10, "expected index 0"),
        (format!("{INVOKE}\n\n{INVOKE}"), 3, 10, "expected index 1, found 0"),
        (format!("{INVOKE}\n{}", OK.replace("\"time\":2", "\"time\":0")), 2, 19, "time goes back"),
        (INVOKE.replace("\"time\":1", "\"time\":-1"), 1, 19, "`time` must be"),
        (INVOKE.replace("\"time\":1", "\"time\":18446744073709551616"), 1, 19, "`time` must be"),
        (INVOKE.replace("\"index\":0", "\"index\":0.5"), 1, 10, "`index` must be"),
        (format!("{INVOKE}\n{}", INVOKE.replace("\"index\":0", "\"index\":1")), 2, 31, "is open"),
        (OK.replace("\"index\":1", "\"index\":0"), 1, 31, "never invoked"),
        (
            format!("{INVOKE}\n{OK}\n{}", OK.replace("\"index\":1", "\"index\":2")),
            3,
            31,
            "completed before",
        ),
        (format!("{INVOKE}\n{info}\n{again}"), 3, 31, "retired"),
        (format!("{INVOKE}\n{}", OK.replace("\"write\"", "\"read\"")), 2, 49, "completes `write`"),
        (format!("{INVOKE}\n{}", OK.replace("k1", "k2")), 2, 63, "the key is not that"),
        (INVOKE.replace("\"process\":3", "\"process\":\"client\""), 1, 31, "`process` must be"),
        (INVOKE.replace("\"invoke\"", "\"begin\""), 1, 40, "`type` must be"),
        (INVOKE.replace("\"write\"", "5"), 1, 53, "`f` must be"),
        (INVOKE.replace(",\"value\":17", ""), 1, 1, "no `value`"),
        (INVOKE.replace("\"f\":\"write\",", ""), 1, 1, "no `f`"),
        (INVOKE.replace("\"time\":1,", "\"time\":1,\"time\":1,"), 1, 21, "twice"),
        (INVOKE[..40].to_owned(), 1, 40, "closing quote"),
        ("[]".to_owned(), 1, 1, "expected `{`"),
        (format!("{INVOKE} x"), 1, 84, "expected the end"),
        (INVOKE.replace("17", "01"), 1, 80, "begin with a zero"),
        (INVOKE.replace("17", "1."), 1, 82, "a digit"),
        (INVOKE.replace("17", "NaN"), 1, 80, "a value"),
        (INVOKE.replace("17", "\"\\ud800\""), 1, 81, "surrogate"),
        (INVOKE.replace("17", "\"\\x\""), 1, 81, "no such escape"),
        (INVOKE.replace("17", "{\"a\":1,\"a\":2}"), 1, 87, "twice"),
    ] {
        let found = mistake(&text);
        assert_eq!((found.0, found.1), (line, column), "{text}: {}", found.2);
        assert!(found.2.contains(message), "{text}: {}", found.2);
    }
}

#[test]
fn bytes_that_are_no_utf8_are_refused_where_they_stand() {
    let mut text = INVOKE.replace("k1", "k__").into_bytes();
    let at = text.iter().position(|&byte| byte == b'_').unwrap();
    text[at] = 0xff;
    let (line, column, message) = mistake(&text);
    assert_eq!((line, column as usize), (1, at + 1));
    assert!(message.contains("UTF-8"), "{message}");
    assert!(mistake(b"\x00\x01").2.contains("0x00"));
}

#[test]
fn nesting_is_read_to_a_bound_and_refused_beyond_it() {
    let nested =
        |depth: usize| INVOKE.replace("17", &format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    assert!(read(nested(10)).is_ok());
    assert!(read(nested(100)).is_ok());
    assert!(mistake(nested(100_000)).2.contains("nested deeper"));
    assert!(Value::parse(&"[".repeat(1_000_000)).is_err());
}

#[test]
fn a_cut_last_line_is_malformed_unless_forgiven() {
    let partial = ReadOptions { partial: true };
    let whole = format!("{INVOKE}\n{OK}\n");
    for end in INVOKE.len() + 2..whole.len() - 2 {
        let cut = &whole[..end];
        assert_eq!(mistake(cut).0, 2);
        let history = read_jsonl(cut.as_bytes(), partial).unwrap();
        assert_eq!((history.events, history.operations[0].outcome), (1, Outcome::Info));
    }
    // Only a line without its line break can have been cut.
    let broken = format!("{}\n", &whole[..whole.len() - 5]);
    assert!(read_jsonl(broken.as_bytes(), partial).is_err());
}

#[test]
fn a_long_file_is_read_in_blocks_and_its_mistakes_are_exact() {
    let padding = "x".repeat(300);
    let mut text = String::new();
    let lines = 40_000;
    for index in 0..lines {
        let kind = if index % 2 == 0 { "invoke" } else { "ok" };
        text.push_str(&format!(
            "{{\"index\":{index},\"time\":{index},\"process\":0,\"type\":\"{kind}\",\
             \"f\":\"write\",\"value\":{index},\"pad\":\"{padding}\"}}\n"
        ));
    }
    assert_eq!(read(&text).unwrap().operations.len(), lines / 2);
    let wrong = text.replace("\"index\":31234,", "\"index\":3123,");
    assert_eq!(mistake(&wrong).0, 31_235);
    let earlier = wrong.replace("{\"index\":20001,", "{\"index\" 20001,");
    assert_eq!((mistake(&earlier).0, mistake(&earlier).1), (20_002, 10));
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (any::<i64>(), -50..50_i32)
            .prop_map(
                |(mantissa, exponent)| Value::parse(&format!("{mantissa}e{exponent}")).unwrap()
            ),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,4}", inner, 0..4).prop_map(|members| {
                Value::Object(std::sync::Arc::new(
                    members.into_iter().map(|(name, value)| (name.into(), value)).collect(),
                ))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_value_survives_its_text(value in value()) {
        prop_assert_eq!(&Value::parse(&value.to_string()).unwrap(), &value);
        let through_serde = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(Value::parse(&through_serde).unwrap(), value);
    }

    #[test]
    fn an_event_survives_its_line(value in value(), key in value(), error in ".*", revision: i64) {
        let mut event = Event::new(0, 5, Process::Client(-7), EventType::Invoke, "cas \"\n");
        event.key = Some(key).filter(|key| !key.is_null());
        event.value = value;
        event.error = Some(error);
        event.revision = Some(revision);
        let mut writer = Writer::new(Vec::new());
        writer.write(&event).unwrap();
        let history = read(writer.into_inner()).unwrap();
        prop_assert_eq!(history.operations[0].error.as_deref(), event.error.as_deref());
        prop_assert_eq!(history.operations[0].revision, event.revision);
        prop_assert_eq!(&*history.operations[0].f, &*event.f);
        prop_assert_eq!(&history.operations[0].key, &event.key);
        prop_assert_eq!(&history.operations[0].input, &event.value);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..80), at in 0..78_usize,
    ) {
        let mut text = INVOKE.as_bytes().to_vec();
        text.splice(at..(at + bytes.len() / 4).min(text.len()), bytes.iter().copied());
        let _ = read(&text);
        let _ = read(&bytes);
    }
}

#[test]
fn a_sub_history_is_a_history_of_its_own() {
    let text = [
        r#"{"index":0,"time":1,"process":1,"type":"invoke","f":"write","value":1}"#,
        r#"{"index":1,"time":2,"process":2,"type":"invoke","f":"read","value":null}"#,
        r#"{"index":2,"time":3,"process":1,"type":"info","f":"write","value":1,"error":"t"}"#,
        r#"{"index":3,"time":4,"process":2,"type":"ok","f":"read","value":1,"node":"n1"}"#,
    ]
    .join("\n");
    let history = read(&text).unwrap();
    let part = History::from_events(history.events_of(&[1])).unwrap();
    assert_eq!((part.events, part.operations[0].output.clone()), (2, Value::from(1)));
    let whole = History::from_events(history.events_of(&[0, 1])).unwrap();
    assert_eq!(whole.operations, history.operations);
}

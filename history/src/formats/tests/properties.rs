use crate::formats::edn::Reader;
use crate::formats::form::Form;
use crate::formats::{detect, jepsen_edn, jepsen_json, porcupine_kv, porcupine_log};
use proptest::prelude::*;

/// Bytes that often get past a reader's first checks.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "#{",
        "#_",
        "#",
        "##NaN",
        "^",
        "\"",
        "\\",
        "\\u00e9",
        ":",
        ",",
        ";",
        "\n",
        " ",
        "nil",
        "null",
        "1",
        "-7N",
        "1.5M",
        "1e9",
        "0x",
        ":process",
        ":type",
        ":f",
        ":value",
        ":key",
        ":time",
        ":index",
        ":invoke",
        ":ok",
        ":info",
        ":nemesis",
        ":read",
        ":cas",
        "\"process\":",
        "\"type\":",
        "\"invoke\"",
        "\"f\":",
        "INFO  jepsen.util - ",
        "\t",
        "µ",
        "#jepsen.independent/tuple",
        "{:process 1 :type :invoke :f :read :value nil}",
        "{:process 1 :type :ok :f :read :value 5}",
        "0\t:invoke\t:read\tnil\n",
        "\u{a0}",
    ]);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(words, 0..60).prop_map(|words| words.concat().into_bytes()),
    ]
}

fn forms() -> impl Strategy<Value = Form> {
    let leaf = prop_oneof![
        Just(Form::Nil),
        any::<bool>().prop_map(Form::Bool),
        any::<i64>().prop_map(Form::Int),
        "[1-9][0-9]{20,30}".prop_map(Form::Number),
        "\\PC{0,8}".prop_map(Form::Text),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Form::Seq),
            prop::collection::vec(inner.clone(), 0..5).prop_map(Form::Set),
            prop::collection::vec((inner.clone(), inner.clone()), 0..4).prop_map(Form::Map),
            (inner.clone(), inner).prop_map(|pair| Form::Tuple(Box::new(pair))),
        ]
    })
}

/// `form` as EDN.
fn printed(form: &Form) -> String {
    let all = |forms: &[Form]| forms.iter().map(printed).collect::<Vec<_>>().join(" ");
    match form {
        Form::Nil => "nil".into(),
        Form::Bool(b) => b.to_string(),
        Form::Int(i) => i.to_string(),
        Form::Number(text) => format!("{text}N"),
        Form::Text(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        Form::Seq(forms) => format!("[{}]", all(forms)),
        Form::Set(forms) => format!("#{{{}}}", all(forms)),
        Form::Map(members) => {
            let members = members.iter().map(|(k, v)| format!("{} {}", printed(k), printed(v)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        Form::Tuple(pair) => {
            format!("#jepsen.independent/tuple [{} {}]", printed(&pair.0), printed(&pair.1))
        }
        Form::Json(value) => value.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_a_reader_panic_or_an_error_without_a_place(input in soup()) {
        detect(&input);
        let lines = input.iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
        for read in [jepsen_edn::read, jepsen_json::read, porcupine_log::read, porcupine_kv::read] {
            if let Err(error) = read(&input) {
                prop_assert!((1..=lines).contains(&error.line), "{error}");
                prop_assert!((1..=input.len() as u64 + 1).contains(&error.column), "{error}");
                prop_assert!(!error.message.is_empty());
            }
        }
    }

    #[test]
    fn a_form_that_is_printed_and_read_is_the_same_form(form in forms()) {
        let text = printed(&form);
        let mut reader = Reader::new(&text);
        prop_assert_eq!(reader.next_form().unwrap(), Some(form));
        prop_assert_eq!(reader.next_form().unwrap(), None);
    }

    #[test]
    fn a_history_is_the_same_in_edn_and_in_json(
        rows in prop::collection::vec((0..5i64, any::<i64>(), 0..3u8), 0..30),
    ) {
        let (mut edn, mut json) = (String::new(), Vec::new());
        for (process, (client, value, outcome)) in rows.into_iter().enumerate() {
            // Each row is a process of its own, so that none is used after an info.
            let process = process as i64 * 10 + client;
            let outcome = ["ok", "fail", "info"][usize::from(outcome)];
            for kind in ["invoke", outcome] {
                edn += &format!("{{:process {process} :type :{kind} :f :write :value {value}}}\n");
                json.push(format!(
                    r#"{{"process":{process},"type":"{kind}","f":"write","value":{value}}}"#
                ));
            }
        }
        let from_edn = jepsen_edn::read(edn.as_bytes()).unwrap();
        let from_json = jepsen_json::read(format!("[{}]", json.join(",")).as_bytes()).unwrap();
        prop_assert_eq!(from_edn.operations, from_json.operations);
        prop_assert_eq!(from_edn.events, from_json.events);
    }
}

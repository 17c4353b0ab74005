use crate::formats::{Format, detect, jepsen_edn, jepsen_json, porcupine_kv, porcupine_log};
use crate::{History, Malformed, Outcome, Value};

type Read = fn(&[u8]) -> Result<History, Malformed>;

/// The operations as `process f key input > outcome output error`, one a line.
fn shown(history: &History) -> Vec<String> {
    let show = |operation: &crate::Operation| {
        let key = operation.key.as_ref().map_or(String::new(), |key| format!("@{key}"));
        let outcome = match operation.outcome {
            Outcome::Ok => "ok",
            Outcome::Fail => "fail",
            Outcome::Info => "info",
        };
        let output = match &operation.output {
            Value::Null => String::new(),
            value => format!(" {value}"),
        };
        let error = operation.error.as_ref().map_or(String::new(), |error| format!(" !{error}"));
        let (process, f, input) = (operation.process, &operation.f, &operation.input);
        format!("{process} {f}{key} {input} > {outcome}{output}{error}")
    };
    history.operations.iter().map(show).collect()
}

#[test]
fn histories_in_each_format_become_operations() {
    let rows: &[(&str, Read, &str, &[&str])] = &[
        ("nothing at all", jepsen_edn::read, "", &[]),
        ("an empty vector", jepsen_edn::read, "[]", &[]),
        (
            "one vector of maps, with commas, tags and extra members",
            jepsen_edn::read,
            "#jepsen.history.DenseHistory [{:process 0, :type :invoke, :f :write, :value 3, :x #{}}
              #jepsen.history.Op{:index 1, :time 7, :process 0, :type :ok, :f :write, :value 3}]",
            &["0 write 3 > ok 3"],
        ),
        (
            "maps one after the other, a nemesis among them, one operation never completed",
            jepsen_edn::read,
            "{:process 1 :type :invoke :f :read :value nil :time 10 :index 0}\n
             {:process :nemesis :type :info :f :start :value {:n1 #{:n2}} :time 11 :index 1}
             {:process 1 :type :ok :f :read :value nil :time 9 :index 2}
             {:process 1 :type :invoke :f :cas :value [1 2] :time 12 :index 4}",
            &["1 read null > ok", "1 cas [1,2] > info"],
        ),
        (
            "errors of any shape",
            jepsen_edn::read,
            "{:process 1 :type :invoke :f :cas :value [1 2]}
             {:process 1 :type :fail :f :cas :value [1 2] :error [:not-found \"x\"]}
             {:process 1 :type :invoke :f :cas :value [1 2]}
             {:process 1 :type :info :f :cas :value [1 2] :error :timeout}",
            &[
                "1 cas [1,2] > fail [1,2] ![\"not-found\",\"x\"]",
                "1 cas [1,2] > info [1,2] !timeout",
            ],
        ),
        (
            "tagged tuples",
            jepsen_edn::read,
            "{:process 1 :type :invoke :f :write :value #jepsen.independent/tuple [7 [1 2]]}
             {:process 1 :type :ok :f :write :value #jepsen.independent/tuple [7 [1 2]]}
             {:process 1 :type :invoke :f :read :value #jepsen.independent/tuple [7 nil]}
             {:process 1 :type :info :f :read :value nil :error :timeout}",
            &["1 write@7 [1,2] > ok [1,2]", "1 read@7 null > info !timeout"],
        ),
        (
            "plain tuples, given away by a read",
            jepsen_edn::read,
            "{:process 1 :type :invoke :f :cas :value [7 [1 2]]}
             {:process 2 :type :invoke :f :read :value [8 nil]}
             {:process 1 :type :ok :f :cas :value [7 [1 2]]}
             {:process 2 :type :ok :f :read :value [8 5]}",
            &["1 cas@7 [1,2] > ok [1,2]", "2 read@8 null > ok 5"],
        ),
        (
            "a cas alone is a pair of values, not of key and value",
            jepsen_edn::read,
            "{:process 1 :type :invoke :f :cas :value [1 2]}
             {:process 1 :type :ok :f :cas :value [1 2]}",
            &["1 cas [1,2] > ok [1,2]"],
        ),
        (
            "a cas beside reads without keys",
            jepsen_edn::read,
            "{:process 1 :type :invoke :f :cas :value [1 2]}
             {:process 2 :type :invoke :f :read :value nil}
             {:process 1 :type :ok :f :cas :value [1 2]}",
            &["1 cas [1,2] > ok [1,2]", "2 read null > info"],
        ),
        (
            "transactions of two operations are not tuples",
            jepsen_edn::read,
            "{:process 1 :type :invoke :f :txn :value [[:append :k 1] [:r :k nil]]}
             {:process 1 :type :ok :f :txn :value [[:append :k 1] [:r :k [1]]]}",
            &["1 txn [[\"append\",\"k\",1],[\"r\",\"k\",null]] > ok \
               [[\"append\",\"k\",1],[\"r\",\"k\",[1]]]"],
        ),
        (
            "a JSON array",
            jepsen_json::read,
            r#"[{"process":0,"type":"invoke","f":"read","value":[1,null],"time":3,"index":0},
                {"process":"nemesis","type":"info","f":"kill","value":null},
                {"process":0,"type":"ok","f":"read","value":[1,12345678901234567890]}]"#,
            &["0 read@1 null > ok 12345678901234567890"],
        ),
        (
            "JSON objects one after the other",
            jepsen_json::read,
            "\u{feff}{\"process\":0,\"type\":\"invoke\",\"f\":\"add\",\"value\":1}\r\n
             {\"process\":0,\"type\":\"ok\",\"f\":\"add\",\"value\":1}\n",
            &["0 add 1 > ok 1"],
        ),
        (
            "a log with timeouts, and a line of another logger",
            porcupine_log::read,
            "INFO  jepsen.util - 0\t:invoke\t:read\tnil\r
WARN  jepsen.core - something else\n\nINFO  jepsen.util - 2   :invoke :cas    [4 3]
INFO  jepsen.util - 0\t:fail\t:read\t:timed-out\nINFO  jepsen.util - 2\t:info\t:cas\t:timed-out
INFO  jepsen.util - 0\t:invoke\t:write\t3\n",
            &["0 read null > fail !timed-out", "2 cas [4,3] > info !timed-out", "0 write 3 > info"],
        ),
        (
            "a kv log",
            porcupine_kv::read,
            "{:process 9, :type :invoke, :f :append, :key \"0\", :value \"x 9 y\"}
             {:process 1, :type :invoke, :f :get, :key \"0\", :value nil}
             {:process 1, :type :ok, :f :get, :key \"0\", :value \"\"}
             {:process 9, :type :ok, :f :append, :key \"0\", :value \"x 9 y\"}",
            &["9 append@\"0\" \"x 9 y\" > ok \"x 9 y\"", "1 get@\"0\" null > ok \"\""],
        ),
    ];
    for (name, read, text, expected) in rows {
        let history = read(text.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(shown(&history), *expected, "{name}");
    }
}

#[test]
fn malformed_histories_name_line_and_column() {
    let rows: &[(Read, &str, u64, u64, &str)] = &[
        (jepsen_edn::read, "[\n 7]", 2, 2, "an operation is a map"),
        (jepsen_edn::read, "\n  {:process 1 :f :r}", 2, 3, "no :type"),
        (jepsen_edn::read, "{:type :ok :f :r}", 1, 1, "no :process"),
        (jepsen_edn::read, "{:process :bob :type :ok :f :r}", 1, 1, "nor :nemesis"),
        (jepsen_edn::read, "{:process 1 :type :maybe :f :r}", 1, 1, ":type maybe is none of"),
        (jepsen_edn::read, "{:process 1 :type :ok :f 3}", 1, 1, ":f is not a word"),
        (jepsen_edn::read, "{:process 1 :process 1}", 1, 1, ":process stands twice"),
        (jepsen_edn::read, "{:process 1 :type :invoke :f :r :time 1.5}", 1, 1, ":time is a number"),
        (jepsen_edn::read, "[{:process 1 :type :invoke :f :r}", 1, 1, "never closed"),
        (
            jepsen_edn::read,
            "{:process 1 :type :invoke :f :r :index 1}\n{:process 2 :type :invoke :f :r :index 1}",
            2,
            1,
            "index 1 does not come after",
        ),
        (jepsen_json::read, "[{\"process\":0},\n", 1, 2, "no :type"),
        (jepsen_json::read, "[1", 1, 2, "an operation is a map"),
        (jepsen_json::read, "[{\"a\" 1}]", 1, 7, "expected `:`"),
        (porcupine_log::read, "x\nINFO  jepsen.util - 0\t:invoke", 1, 2, "type should stand"),
        (porcupine_log::read, "INFO  jepsen.util - 0 :ok :r 1 2 3", 1, 33, "the line must end"),
        (porcupine_kv::read, "{:process 1 :type :invoke :f :cas :key 1}", 1, 1, "only :get"),
        (
            jepsen_edn::read,
            "{:process 1 :type :invoke :f :r}\n{:process 1 :type :invoke :f :r}",
            2,
            1,
            "",
        ),
        (jepsen_edn::read, "\n{:process 1 :type :ok :f :r}", 2, 1, ""),
        (porcupine_log::read, "0 :invoke :r nil\n0 :ok :write nil\n", 2, 1, ""),
    ];
    for (read, text, line, column, message) in rows {
        let error = read(text.as_bytes()).expect_err(text);
        assert!(error.message.contains(message), "{text}: {error}");
        assert_eq!((error.line, error.column), (*line, *column), "{text}: {error}");
    }
    let error = jepsen_edn::read(b"{}\n {\xff}").expect_err("these are no UTF-8");
    assert_eq!((error.line, error.column), (2, 3));
}

#[test]
fn formats_are_told_apart_by_how_they_begin() {
    for (text, format) in [
        ("", Format::JsonLines),
        ("\n{\"index\":0}", Format::JsonLines),
        ("\u{feff}{ \"index\" : 0}", Format::JsonLines),
        ("what is this", Format::JsonLines),
        ("[]", Format::JepsenJson),
        (" [\n{\"process\": 1}]", Format::JepsenJson),
        ("{:process 0, :type :invoke, :f :read, :value nil}", Format::JepsenEdn),
        ("{:f :get :key 1 :value nil :time 3}", Format::JepsenEdn),
        ("[{:f :append :value 3}", Format::JepsenEdn),
        ("; a comment\n#jepsen.history.Op{:f :r}", Format::JepsenEdn),
        ("({:f", Format::JepsenEdn),
        (
            "{:process 9, :type :invoke, :f :append, :key \"0\", :value \"x\"}",
            Format::PorcupineKvLog,
        ),
        ("INFO  jepsen.util - 0\t:invoke\t:read\tnil", Format::PorcupineJepsenLog),
        ("\n0 :invoke :read nil\n", Format::PorcupineJepsenLog),
    ] {
        assert_eq!(detect(text.as_bytes()), format, "{text}");
    }
}

#[test]
fn nesting_in_json_is_bounded_too() {
    let deep = format!("[{{\"value\":{}", "[".repeat(200_000));
    let error = jepsen_json::read(deep.as_bytes()).expect_err("far too deep");
    assert!(error.message.contains("128"), "{error}");
}

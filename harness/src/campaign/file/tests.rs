use super::*;

const SMALL: &str = r#"
name = "small"
budget = "10m"

[db]
"etcd-3.5" = "/somewhere/etcd"

[[test]]
name = "registers"
db = ["embedded", "etcd-3.5"]
workload = ["register", "set"]
nemesis = "kill,partition"
auth = [false, true]
seeds = "1..3"
time-limit = "5s"

[[test]]
name = "simulated"
kind = "sim"
seeds = "0..100"
expect = "invalid"
bug = "local-read"
"#;

#[test]
fn every_combination_is_a_row_and_every_seed_a_test() {
    let campaign = Campaign::parse(SMALL).expect("a campaign");
    assert_eq!(campaign.budget, Some(Duration::from_secs(600)));
    let tests = campaign.tests();
    assert_eq!(tests.len(), 2 * 2 * 2 * 2 + 1);
    let ids: BTreeSet<&str> = tests.iter().map(|test| test.id.as_str()).collect();
    assert_eq!(ids.len(), tests.len(), "no two tests have one name");
    let first = &tests[0];
    assert_eq!(first.id, "registers/register/kill+partition/no-auth/embedded/seed-1");
    let told = "--workload register --nemesis kill,partition --time-limit 5000ms --seed 1";
    assert_eq!(first.args.join(" "), told);
    assert_eq!((first.db.as_deref(), first.least), (None, Duration::from_secs(5)));
    let last_of_round = tests.iter().position(|test| test.seeds == "2").expect("a second seed");
    assert!(tests[last_of_round..].iter().all(|test| test.seeds == "2"), "{tests:?}");
    let simulated = tests.iter().find(|test| test.kind == Kind::Sim).expect("the simulation");
    assert_eq!(simulated.id, "simulated/bug-local-read/seed-0-to-100");
    assert_eq!(simulated.args.join(" "), "--bug local-read --seeds 0..100");
    assert_eq!(simulated.expected, Expected::Invalid);
}

#[test]
fn what_cannot_be_followed_is_told_with_its_place() {
    let test = "[[test]]\nname = \"a\"\n";
    let rows = [
        ("name = ", "line 1, column 8: ", "string"),
        ("name = \"a\"\nbudgt = \"3s\"", "line 2, column 1: ", "unknown field `budgt`"),
        ("name = \"a\"\nbudget = \"soon\"", "line 2, column 10: ", "`soon` is no duration"),
        ("name = \"a\"", "", "missing field `test`"),
        (&format!("name = \"../a\"\n{test}seeds = [1]"), "", "expected letters"),
        (&format!("name = \"a\"\n{test}seeds = [1]\n{test}seeds = [1]"), "", "two tests"),
        (&format!("name = \"a\"\n{test}seeds = \"3..3\""), "", "test a: seeds: `3..3` has no"),
        (&format!("name = \"a\"\n{test}seeds = []"), "", "test a: seeds: there is none"),
        (&format!("name = \"a\"\n{test}seeds = [1]\ndb = \"etdc\""), "", "there is no `etdc`"),
        (&format!("name = \"a\"\n{test}kind = \"sim\"\nseeds = [1]\ntls = true"), "", "tls"),
        (&format!("name = \"a\"\n{test}seeds = \"0..900000\""), "", "expected 1 to 100000"),
    ];
    for (text, place, message) in rows {
        let (where_, why) = Campaign::parse(text).map(|_| ()).expect_err(text);
        assert!(where_.starts_with(place) && why.contains(message), "{text}\n{where_}{why}");
    }
}

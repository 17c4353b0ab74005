//! Every recorded history that lies beside the repository reads, with as many operations as its
//! table says.

use crate::formats::{Format, detect, porcupine_kv, porcupine_log};
use std::path::Path;

#[test]
fn recorded_histories_read_with_the_expected_number_of_operations() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/histories/porcupine");
    let Ok(table) = std::fs::read_to_string(folder.join("expected.tsv")) else {
        eprintln!("skipped: {} is not there", folder.display());
        return;
    };
    let mut files = 0;
    for row in table.lines().skip(1) {
        let mut columns = row.split('\t');
        let (Some(file), Some(_), Some(operations)) =
            (columns.next(), columns.next(), columns.next())
        else {
            panic!("{row} is no row of file, verdict and operations");
        };
        let input = std::fs::read(folder.join(file)).expect(file);
        let history = match detect(&input) {
            Format::PorcupineJepsenLog => porcupine_log::read(&input),
            Format::PorcupineKvLog => porcupine_kv::read(&input),
            other => panic!("{file} looks like {other:?}"),
        };
        let history = history.unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(history.operations.len().to_string(), operations, "{file}");
        files += 1;
    }
    assert_eq!(files, table.lines().count() - 1);
}

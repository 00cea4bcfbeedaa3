//! `scripts/postgres`: what it leaves alone.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

#[test]
fn a_folder_that_it_did_not_make_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = folder.path().join("data/payments.db");
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(&theirs, "money").unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/postgres");
    // However often.
    for _ in 0..2 {
        let output = Command::new(&script).arg(folder.path()).arg("0").stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("was not made by this"), "{said}");
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "money");
    }
}

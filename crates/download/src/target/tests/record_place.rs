//! Where the record is written.

use super::*;

#[test]
fn the_record_is_never_written_through_a_link() {
    let (scene, outside) = (Scene::new(), tempfile::tempdir().unwrap());
    let staging = scene.begin().unwrap();
    let place = record::path(&staging.root_path());
    std::os::unix::fs::symlink(outside.path(), place.parent().unwrap()).unwrap();
    assert!(staging.write_record(b"{}").is_err());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

//! Where the record is written.

use super::*;

#[test]
fn the_record_is_never_written_through_a_link() {
    let (scene, outside) = (Scene::new(), tempfile::tempdir().unwrap());
    let staging = scene.begin().unwrap();
    let place = record::path(&staging.root_path());
    std::os::unix::fs::symlink(outside.path(), place.parent().unwrap()).unwrap();
    let error = staging.write_record(b"{}").unwrap_err();
    let Error::Io {
        action: "make",
        path,
        source,
    } = &error
    else {
        panic!("another error: {error:?}");
    };
    assert_eq!(path, &place);
    assert_eq!(source.kind(), io::ErrorKind::NotADirectory);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

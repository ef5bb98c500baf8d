use super::*;
use crate::digest::Algorithm;
use crate::layout::archive::ArchivedLayout;

#[test]
fn an_archive_with_a_blob_that_can_not_be_taken_back_never_appears() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image.tar");
    let mut draft = ArchiveDraft::begin(&path).unwrap();
    // Nothing can be written from now on.
    draft.file = File::open(&draft.part).unwrap();
    let draft = Arc::new(draft);
    let lost = draft.open_blob(&Descriptor::of("x", b"lost"));
    assert!(lost.is_err(), "its header can't be written");
    let member = OpenMember {
        draft: Arc::clone(&draft),
        file: tokio::fs::File::from_std(File::open(&draft.part).unwrap()),
        digest: Digest::sha256(b"lost"),
        start: 0,
        size: 4,
    };
    member.discard().unwrap_err();
    assert!(matches!(
        draft.publish(),
        Err(LayoutError::Write { part, .. }) if part.starts_with("blobs/")
    ));
    assert!(!path.exists());
}

#[test]
fn places_keep_their_length_whatever_becomes_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image.tar");
    let draft = Arc::new(ArchiveDraft::begin(&path).unwrap());
    let content = b"content".repeat(100);
    let mut wanted = Vec::new();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let blob = |bytes: &[u8]| Descriptor {
            digest: Digest::of(algorithm, bytes),
            ..Descriptor::of("x", bytes)
        };
        let lost = draft.open_blob(&blob(b"lost")).unwrap();
        draft.put(&blob(&content).digest, &content).unwrap();
        lost.discard().unwrap();
        wanted.push(blob(&content).digest);
        assert!(!draft.has(&blob(b"lost").digest));
    }
    draft.stage(b"{}").unwrap();
    draft.publish().unwrap();
    assert!(!draft.part.exists());
    let file = File::open(&path).unwrap();
    let length = file.metadata().unwrap().len();
    let archive = ArchivedLayout::index(file, length).unwrap();
    for digest in wanted {
        let found = archive.content(Part::Blob(&digest)).unwrap().unwrap();
        assert_eq!(found.bytes(1 << 20).unwrap(), content);
        let lost = Digest::of(digest.algorithm(), b"lost");
        assert!(archive.content(Part::Blob(&lost)).unwrap().is_none());
    }
    let index = archive.content(Part::Index).unwrap().unwrap();
    assert_eq!(index.bytes(10).unwrap(), b"{}");
    // Other readers find the same.
    let mut others = tar::Archive::new(File::open(&path).unwrap());
    let entries = others.entries().unwrap().map(|entry| entry.unwrap().size());
    assert_eq!(entries.filter(|size| *size == 700).count(), 2);
}

#[test]
fn what_appeared_meanwhile_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image.tar");
    let draft = ArchiveDraft::begin(&path).unwrap();
    draft.stage(b"{}").unwrap();
    // Without the look that `publish` could take before: the renaming itself refuses.
    for mine in ["", "mine"] {
        fs::write(&path, mine).unwrap();
        for published in [draft.publish(), rename_new(&draft.part, &path)] {
            assert!(
                matches!(published, Err(LayoutError::Exists)),
                "{published:?}"
            );
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), mine);
    }
    drop(draft);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn without_hard_links_too_what_is_there_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    for errno in [Errno::PERM, Errno::NOSYS, Errno::INVAL, Errno::OPNOTSUPP] {
        let renamed = || rename_by_link(|_, _| Err(errno), &from, &to);
        fs::write(&from, "archive").unwrap();
        fs::write(&to, "mine").unwrap();
        assert_eq!(renamed(), Err(Errno::EXIST));
        assert_eq!(fs::read_to_string(&to).unwrap(), "mine");
        fs::remove_file(&to).unwrap();
        std::os::unix::fs::symlink("nowhere", &to).unwrap();
        assert_eq!(renamed(), Err(Errno::EXIST));
        fs::remove_file(&to).unwrap();
        assert_eq!(renamed(), Ok(()));
        assert_eq!(fs::read_to_string(&to).unwrap(), "archive");
        assert!(!from.exists());
        fs::remove_file(&to).unwrap();
    }
    // Any other error is one.
    fs::write(&from, "archive").unwrap();
    let refused = rename_by_link(|_, _| Err(Errno::ACCESS), &from, &to);
    assert_eq!(refused, Err(Errno::ACCESS));
    assert!(!to.exists());
}

#[test]
fn a_draft_that_is_given_up_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image.tar");
    let draft = ArchiveDraft::begin(&path).unwrap();
    let other = ArchiveDraft::begin(&path).err().unwrap();
    assert!(matches!(other, LayoutError::Busy), "{other}");
    drop(draft);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    fs::write(&path, "mine").unwrap();
    let other = ArchiveDraft::begin(&path).err().unwrap();
    assert!(matches!(other, LayoutError::Exists), "{other}");
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}

#[test]
fn a_blob_that_no_file_can_hold_is_refused_and_spoils_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image.tar");
    let draft = Arc::new(ArchiveDraft::begin(&path).unwrap());
    for size in [u64::MAX, u64::MAX - 600, u64::MAX - 2000, 1 << 63] {
        let blob = Descriptor {
            size,
            ..Descriptor::of("x", b"large")
        };
        let opened = draft.open_blob(&blob).map(drop);
        assert!(
            matches!(&opened, Err(LayoutError::Write { source, .. })
                if source.raw_os_error() == Some(Errno::FBIG.raw_os_error())),
            "{size}: {opened:?}"
        );
    }
    let small = Digest::sha256(b"small");
    draft.put(&small, b"small").unwrap();
    draft.stage(b"{}").unwrap();
    draft.publish().unwrap();
    let file = File::open(&path).unwrap();
    let length = file.metadata().unwrap().len();
    let archive = ArchivedLayout::index(file, length).unwrap();
    let found = archive.content(Part::Blob(&small)).unwrap().unwrap();
    assert_eq!(found.bytes(10).unwrap(), b"small");
}

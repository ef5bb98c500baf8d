use bytes::Bytes;

use super::*;
use crate::digest::Algorithm;
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::archive::ArchivedLayout;
use crate::reference::LayoutPath;

/// A header is half written, or not: nobody knows.
#[test]
fn an_archive_with_a_blob_whose_name_can_not_be_written_never_appears() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image.tar");
    let mut draft = ArchiveDraft::begin(&path).unwrap();
    let digest = Digest::sha256(b"lost");
    let place = draft.reserve(&digest, 4).unwrap();
    // Nothing can be written from now on.
    let file = std::mem::replace(&mut draft.file, File::open(&draft.part).unwrap());
    assert!(draft.reserve(&digest, 4).is_err());
    draft.keep(&digest, place).unwrap_err();
    // It can, but it is too late.
    draft.file = file;
    for refused in [draft.publish(b"{}"), draft.put(&Digest::sha256(b"x"), b"x")] {
        assert!(matches!(
            refused,
            Err(LayoutError::Write { part, .. }) if part.starts_with("blobs/")
        ));
    }
    assert!(!path.exists());
}

/// The place of what could not be reserved is the next one's.
#[test]
fn a_place_that_can_not_be_reserved_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image.tar");
    let mut draft = ArchiveDraft::begin(&path).unwrap();
    let file = std::mem::replace(&mut draft.file, File::open(&draft.part).unwrap());
    draft.put(&Digest::sha256(b"lost"), b"lost").unwrap_err();
    draft.file = file;
    draft.put(&Digest::sha256(b"found"), b"found").unwrap();
    draft.publish(b"{}").unwrap();
    let archive = read(&path);
    assert_eq!(blob(&archive, b"found").unwrap(), b"found");
    assert!(blob(&archive, b"lost").is_none());
}

fn read(path: &Path) -> ArchivedLayout {
    let file = File::open(path).unwrap();
    let length = file.metadata().unwrap().len();
    ArchivedLayout::index(file, length).unwrap()
}

/// What stands under the digest of these bytes.
fn blob(archive: &ArchivedLayout, bytes: &[u8]) -> Option<Vec<u8>> {
    let content = archive.content(Part::Blob(&Digest::sha256(bytes))).unwrap();
    content.map(|content| content.bytes(1 << 20).unwrap())
}

/// Several images are copied at the same time, and the copy of one may end in the middle of a blob that another has too.
#[test]
fn a_blob_that_is_given_up_in_the_middle_is_written_by_the_next_image() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image.tar");
    let draft = Arc::new(ArchiveDraft::begin(&path).unwrap());
    let given_up = draft.open_blob(&Descriptor::of("x", b"shared")).unwrap();
    draft.write("x", b"sha", given_up.place.content).unwrap();
    drop(given_up);
    assert!(!draft.has(&Digest::sha256(b"shared")));
    draft.put(&Digest::sha256(b"shared"), b"shared").unwrap();
    draft.publish(b"{}").unwrap();
    assert_eq!(blob(&read(&path), b"shared").unwrap(), b"shared");
}

#[test]
fn a_blob_that_two_have_written_is_there_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image.tar");
    let draft = Arc::new(ArchiveDraft::begin(&path).unwrap());
    let first = draft.open_blob(&Descriptor::of("x", b"shared")).unwrap();
    draft.put(&Digest::sha256(b"shared"), b"shared").unwrap();
    first.keep().unwrap();
    draft.publish(b"{}").unwrap();
    assert_eq!(blob(&read(&path), b"shared").unwrap(), b"shared");
}

/// ext4 holds files of 16 TiB, for one.
#[test]
fn a_blob_that_this_file_system_can_not_hold_leaves_room_for_others() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image.tar");
    let draft = Arc::new(ArchiveDraft::begin(&path).unwrap());
    let claimed = Descriptor {
        size: 1 << 62,
        ..Descriptor::of("x", b"large")
    };
    // A file system that can hold it would have room for the next, too.
    let _ = draft.open_blob(&claimed);
    draft.put(&Digest::sha256(b"small"), b"small").unwrap();
    draft.publish(b"{}").unwrap();
    let found = draft.content(Part::Blob(&Digest::sha256(b"small")));
    assert_eq!(found.unwrap().unwrap().bytes(10).unwrap(), b"small");
}

/// One image is proven by what was written of it while the blobs of another are still coming.
#[test]
fn a_draft_is_read_while_it_grows() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image.tar");
    let draft = Arc::new(ArchiveDraft::begin(&path).unwrap());
    draft.put(&Digest::sha256(b"first"), b"first").unwrap();
    let staged = Bytes::from_static(br#"{"manifests":[]}"#);
    let named = LayoutPath::new(&path).unwrap();
    let layout = Layout::of_draft(&named, &draft, staged.clone());
    let second = draft.open_blob(&Descriptor::of("x", b"second")).unwrap();
    draft.write("x", b"sec", second.place.content).unwrap();
    assert_eq!(layout.index(100).unwrap(), staged);
    assert!(matches!(layout.index(3), Err(Error::Limit { .. })));
    let document = |bytes: &[u8]| layout.document(&Digest::sha256(bytes), 100, "it");
    assert_eq!(document(b"first").unwrap(), b"first"[..]);
    assert!(document(b"second").is_err(), "half of it is there");
    draft.write("x", b"ond", second.place.content + 3).unwrap();
    second.keep().unwrap();
    assert_eq!(document(b"second").unwrap(), b"second"[..]);
    draft.publish(&staged).unwrap();
    let archive = read(&path);
    assert_eq!(blob(&archive, b"first").unwrap(), b"first");
    assert_eq!(blob(&archive, b"second").unwrap(), b"second");
    // What comes too late changes nothing.
    let late = draft.put(&Digest::sha256(b"late"), b"late");
    assert!(late.is_err());
    assert!(blob(&read(&path), b"late").is_none());
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
        drop(lost);
        wanted.push(blob(&content).digest);
        assert!(!draft.has(&blob(b"lost").digest));
    }
    draft.publish(b"{}").unwrap();
    assert!(!draft.part.exists());
    let archive = read(&path);
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
    // Without the look that `publish` could take before: the renaming itself refuses.
    for mine in ["", "mine"] {
        fs::write(&path, mine).unwrap();
        for published in [draft.publish(b"{}"), rename_new(&draft.part, &path)] {
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
    draft.publish(b"{}").unwrap();
    let archive = read(&path);
    let found = archive.content(Part::Blob(&small)).unwrap().unwrap();
    assert_eq!(found.bytes(10).unwrap(), b"small");
}

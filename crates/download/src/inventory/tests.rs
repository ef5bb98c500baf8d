//! What is written is read back, and nothing else is.

use std::io::Read;

use super::*;

fn items() -> Vec<Item> {
    let file = ItemKind::File {
        mode: 0o755,
        size: 3,
        digest: Digest::sha256(b"run"),
    };
    let item = |path: &[u8], kind| Item {
        path: path.to_vec(),
        kind,
    };
    vec![
        item(b"bin", ItemKind::Directory { mode: 0o555 }),
        item(b"bin/run", file),
        item(
            b"bin/100%\n\xff\"",
            ItemKind::Link {
                target: b"../\xc3\xa9".to_vec(),
            },
        ),
    ]
}

fn written() -> (Vec<u8>, InventoryDigest) {
    let mut bytes = Vec::new();
    let mut writer = InventoryWriter::new(&mut bytes, MAX_BYTES);
    for item in items() {
        writer.add(&item).unwrap();
    }
    let named = writer.finish().unwrap();
    (bytes, named)
}

#[test]
fn names_of_any_bytes_are_written_one_a_line_and_read_back() {
    let (bytes, named) = written();
    insta::assert_snapshot!(String::from_utf8(bytes.clone()).unwrap(), @r#"
        {"kind":"directory","path":"bin","mode":"0555"}
        {"kind":"file","path":"bin/run","mode":"0755","size":3,"digest":"sha256:acba25512100f80b56fc3ccd14c65be55d94800cda77585c5f41a887e398f9be"}
        {"kind":"link","path":"bin/100%25%0A%FF\"","target":"../%C3%A9"}
        "#);
    assert_eq!(named.digest, Digest::sha256(&bytes));
    assert_eq!(named.size, bytes.len() as u64);
    assert_eq!(read(bytes.as_slice(), &named).unwrap(), items());
}

/// Paths through links can be much longer than the names in an archive, so few bytes could become many.
#[test]
fn an_inventory_that_could_not_be_read_is_not_written() {
    let (bytes, _) = written();
    let mut kept = Vec::new();
    let limit = bytes.len() as u64 - 1;
    let mut writer = InventoryWriter::new(&mut kept, limit);
    let added: Vec<io::Result<()>> = items().iter().map(|item| writer.add(item)).collect();
    let kinds: Vec<_> = added
        .into_iter()
        .map(|result| result.map_err(|error| error.kind()))
        .collect();
    assert_eq!(kinds, [Ok(()), Ok(()), Err(io::ErrorKind::FileTooLarge)]);
    assert!(kept.len() as u64 <= limit);
}

/// The longest path there can be, of names that are written as three bytes for each.
#[test]
fn the_longest_path_is_read_back() {
    let name = [0xff; 255];
    let item = Item {
        path: vec![name; 128].join(&b'/'),
        kind: ItemKind::Link {
            target: vec![0xff; 4096],
        },
    };
    let mut bytes = Vec::new();
    let mut writer = InventoryWriter::new(&mut bytes, MAX_BYTES);
    writer.add(&item).unwrap();
    let named = writer.finish().unwrap();
    assert_eq!(read(bytes.as_slice(), &named).unwrap(), [item]);
}

/// Also one that is only longer or shorter, and one whose digest is right and whose text is not.
#[test]
fn an_inventory_other_than_the_records_is_not_used() {
    let (bytes, named) = written();
    let named_by = |bytes: &[u8]| InventoryDigest {
        digest: Digest::sha256(bytes),
        size: bytes.len() as u64,
    };
    let changed = String::from_utf8(bytes.clone())
        .unwrap()
        .replace("0755", "0777");
    let rows: [(&[u8], InventoryDigest); 6] = [
        (changed.as_bytes(), named.clone()),
        (&[bytes.as_slice(), &bytes].concat(), named.clone()),
        (&bytes[..10], named),
        (b"{}\n", named_by(b"{}\n")),
        (b"\n", named_by(b"\n")),
        (
            b"",
            InventoryDigest {
                size: u64::MAX,
                ..named_by(b"")
            },
        ),
    ];
    for (bytes, named) in rows {
        read(bytes, &named).unwrap_err();
    }
    let mode = changed.replace("0777", "rwx");
    read(mode.as_bytes(), &named_by(mode.as_bytes())).unwrap_err();
}

#[test]
fn an_inventory_that_can_not_be_read_is_not_told_as_damaged() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is broken"))
        }
    }
    let (bytes, named) = written();
    let half = Read::chain(&bytes[..10], Broken);
    let unread = read(half, &named).unwrap_err();
    assert!(matches!(unread, Unusable::Unread(_)), "{unread:?}");
    let damaged = read(&bytes[..10], &named).unwrap_err();
    assert!(matches!(damaged, Unusable::Damaged { .. }), "{damaged:?}");
}

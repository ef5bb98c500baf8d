//! What is said of content, galleries, lock files and stores.

use insta::assert_snapshot;

use super::{Failure, label, table};

#[test]
fn what_is_said_of_content_that_is_not_installed() {
    let errors = countersign_download::samples::errors();
    assert_snapshot!(table(errors, label), @r"
    1 Internal: this is a bug in countersign; please report it, with the output of COUNTERSIGN_LOG=debug
        NoVerifier, Cancelled, Layer/Cancelled
    1 Machine: correct the problem that the system reports, then run the same command again
        Io/Os, Layer/Thread/Kind/WouldBlock, Layer/Spelling
    1 Machine: leave out --no-wait, or wait until the other run ends
        Busy
    1 Machine: the disk or the quota is full, or has no inodes left: free some space (`df -h`, `df -i`), then run the same command again
        Tree/Write/Os, Io/Os, Layer/Write/Os
    1 Machine: the disk or the quota is full, or has no inodes left: free some space (`df -h`, `df -i`), then run the same command again + remove it first, or name another directory
        Immovable/Os
    1 Machine: the disk or the quota is full, or has no inodes left: free some space (`df -h`, `df -i`), then run the same command again + the old installation is complete in /srv/kept; install again to put it back
        Displaced/Os
    1 Machine: too many files are open: raise the limit with `ulimit -n`, or end other programs
        Io/Os, Layer/Read/Os, Http/Unreachable/Os
    2 Usage: check --registry-ca and the proxy's variables
        Http/Configuration
    2 Usage: in the gallery's index, name a directory that can be read
        Directory
    2 Usage: move the directory away or remove it, then install again; `countersign remove` removes what is in the store
        UnreadableRecord
    2 Usage: name a directory that is missing, empty or an earlier installation; the directory above it must exist
        Target
    2 Usage: nothing was changed: unmount it (`umount`), run the same command again, and mount it again
        Mounted
    2 Usage: remove it first, or name another directory
        Immovable/Os
    2 Usage: update Countersign; or move the directory away or remove it, then install again
        LaterRecord
    4 Policy: find out why somebody else signed it; if the new signer is right, install with --lock again
        OtherSigner
    4 Policy: if that is for other hardware, use a lock file for each kind of hardware (--lock=FILE); if you want the older image, pass --allow-older
        Lock/Older
    4 Policy: if you want it anyway, remove what is installed first: delete its directory, or use `countersign remove` if it is from a gallery
        Weaker
    4 Policy: if you want it in the place of the other image, pass --allow-older; to keep both, install to another directory or store
        Older
    4 Policy: publish it as a signed image, or tell the gallery's maintainer
        Unverifiable
    4 Policy: the policy's `ignore_tlog` leaves out what proves the time; if you are sure that the image is the newer one, pass --allow-older
        Undated
    5 Invalid: do not use it: it is damaged, or somebody changed it; tell the publisher
        OtherPermit
    5 Invalid: do not use it: the file was changed, or the gallery has the `sha256` of another file
        Checksum
    5 Invalid: do not use the image: the signature can't be trusted; the publisher has to sign again
        Verify/Refused/Refusal
    5 Invalid: if somebody edited the lock file, restore it; if the new content is right, install with --lock again
        OtherContent
    5 Invalid: if you trust the content to be that large, raise the limit with --max-download
        Http/TooLarge
    5 Invalid: if you trust the content to be that large, raise the limit with --max-files
        Layer/Limit
    5 Invalid: if you trust the content to be that large, raise the limit with --max-layers
        Limit
    5 Invalid: nothing says what the files were; install it again with --reinstall
        Inventory
    5 Invalid: nothing was installed; report the message to the publisher, or build the image with another tool
        Configuration/Error, LayerCount, LayerType, Layer/TrailingData, Archive/TrailingData, Layer/Read/Kind/InvalidData, Layer/Truncated, Layer/Header/Checksum, Layer/Header, Layer/Header/Extension, Layer/Compression, Layer/Sparse, Layer/EntryType, Layer/ParentName, Layer/Name, Layer/ReservedName, Layer/Whiteout, Layer/OwnWhiteout, Layer/DanglingLink, Layer/NotADirectory, Layer/HardLink, Layer/DiffId
    5 Invalid: this file system can't store that name: install on another file system, or tell the publisher
        Layer/Write/Kind/InvalidFilename
    5 Invalid: this limit is fixed; tell whoever published it to make the content smaller
        Layer/Limit
    6 NotFound: check the URL, or add `mirrors` to the entry or the gallery
        Http/NotFound
    6 NotFound: check the name and the tag; without a login, a registry may say this of a private repository
        Registry/NotFound
    6 NotFound: check the path after `file://` in the gallery's index
        NoDirectory
    6 NotFound: choose one of these with --platform
        Platform/NoSuchPlatform
    6 NotFound: install it from its gallery, with --gallery FILE: a kit holds images alone
        NotInLayout
    6 NotFound: name a directory that `countersign install` made
        NoRecord
    6 NotFound: name the image itself: signatures, attestations and Helm charts can't be installed
        NotAnImage
    6 NotFound: pass the platform that the image has to --platform
        WrongPlatform
    6 NotFound: the index lists nothing for a platform: check the name and the tag; if they are right, tell its publisher
        Platform/NoSuchPlatform
    7 Unreachable: check the network and the proxy, and whether the service works; then try again
        Http/Unreachable, Http/Unavailable, Http/Failed/TooSlow
    9 Rejected: check the login and the address: the same command would get the same answer
        Http/Status
    9 Rejected: if the target is an https URL that you trust, use that URL
        Http/Redirect
    ");
}

#[test]
fn what_is_said_of_galleries() {
    let errors = countersign_download::samples::gallery_errors();
    assert_snapshot!(table(errors, label), @"
    1 Machine: too many files are open: raise the limit with `ulimit -n`, or end other programs
        Http/Unreachable/Os
    1 Machine: too many files are open: raise the limit with `ulimit -n`, or end other programs + check the path, and that you may read it
        File/Os
    2 Usage: check --registry-ca and the proxy's variables
        Http/Configuration
    2 Usage: check the path, and that you may read it
        File/Os
    2 Usage: correct the gallery's `url`; `file:index.yaml` is an index beside the gallery file
        Location/Form
    2 Usage: correct the index, or the gallery's `url`; an index is a list of entries, each with `name` and `uri`
        NotText, Index/PolicyError
    5 Invalid: if you trust the content to be that large, raise the limit with --max-index
        Http/TooLarge
    6 NotFound: check the URL, or add `mirrors` to the entry or the gallery
        Http/NotFound
    6 NotFound: check the path after `file:`: it is relative to the gallery file
        NoFile
    6 NotFound: correct the gallery's `url`, or add `mirrors`; a path after `file:` is relative to the gallery file
        NotFetched
    7 Unreachable: check the network and the proxy, and whether the service works; then try again
        Http/Unreachable, Http/Unavailable, Http/Failed/TooSlow
    7 Unreachable: check the network and the proxy, or add `mirrors` to the gallery
        NotFetched
    9 Rejected: check the login and the address: the same command would get the same answer
        Http/Status
    9 Rejected: if the target is an https URL that you trust, use that URL
        Http/Redirect
    ");
}

#[test]
fn what_is_said_of_entries_and_of_what_is_not_as_locked() {
    let errors = countersign_download::samples::plan_errors();
    assert_snapshot!(table(errors, label), @"
    1 Internal: this is a bug in countersign; please report it, with the output of COUNTERSIGN_LOG=debug
        Requirement/NoSource
    2 Usage: choose one of these galleries: write GALLERY@NAME
        UnknownGallery
    2 Usage: choose one of these names
        Entry/Ambiguous
    2 Usage: correct the entry in the gallery's index, or tell the gallery's maintainer
        Entry/NoContent, Source/Empty, Mirrors, Entry/MissingTarget, Entry/Cycle, Entry/TooManySteps, Entry/Unreadable/PolicyError
    2 Usage: pass --gallery FILE, with a file that has a gallery
        NoGallery
    2 Usage: pass the gallery file that it was locked with, or install with --lock again, with --allow-older if that leaves it as it is
        Locked/Gallery
    2 Usage: write GALLERY@NAME: the gallery's policy decides who must have signed
        Ambiguous, UnreadableName
    4 Policy: add `sha256` to the entry, or tell the gallery's maintainer
        Requirement/NoDigest
    4 Policy: add a `verification` block to the gallery, then install with --lock again
        Locked/Unverified
    4 Policy: add a `verification` block to the gallery: it says who must have signed
        Requirement/NoPolicy
    4 Policy: if it was locked on other hardware, pass the --capability that it was locked with, or use a lock file for each kind of hardware (--lock=FILE), or name the entries that you want; if the gallery has changed and you want that, install with --lock again, with --allow-older if that leaves it as it is
        Locked/Entry
    4 Policy: if that is for other hardware, use a lock file for each kind of hardware (--lock=FILE); if you want the older image, pass --allow-older
        Locked/Older
    4 Policy: if the policy is right, do not use what is locked: install with --lock again, with --allow-older if that leaves it as it is
        Locked/Signer
    4 Policy: if you trust the index's server, pass --allow-private-addresses
        Inward
    4 Policy: if you want the gallery's content, install with --lock again
        Locked/Digest
    4 Policy: publish it as a signed image, or tell the gallery's maintainer
        Requirement/Unsignable, Requirement/Unverifiable, Requirement/DigestsDiffer
    4 Policy: put the gallery's `verification` block or the entry's `sha256` back, or install it from the gallery that it was locked from; if nothing is to prove it any more, take it out of the lock file first: `countersign remove --lock=FILE NAME` (with the same --store; it also removes what is installed)
        Locked/WeakerEntry
    4 Policy: somebody removed it from the gallery: put the `verification` block or the `sha256` back; if nothing is to prove it any more, take it out of the lock file first: `countersign remove --lock=FILE NAME` (with the same --store; it also removes what is installed)
        Locked/Weaker
    4 Policy: the policy's `ignore_tlog` leaves out what proves the time; if you are sure that the image is the newer one, pass --allow-older
        Locked/Undated
    4 Policy: to install from there, save the index as a file and use `url: file:…`
        Inward
    4 Policy: to install from this machine, save the index as a file and use `url: file:…`
        Local
    6 NotFound: `countersign gallery show FILE` shows all entries
        UnknownName, Entry/Unknown
    6 NotFound: choose one of these with --capability
        Entry/NotForCapability
    6 NotFound: install it for this platform with --lock first; other platforms stay locked as they are
        Locked/Platform
    6 NotFound: install it with --lock first
        Locked/Unknown
    ");
}

#[test]
fn what_is_said_of_lock_files() {
    let errors = countersign_download::samples::lock_errors();
    assert_snapshot!(table(errors, label), @r#"
    1 Internal: this is a bug in countersign; please report it, with the output of COUNTERSIGN_LOG=debug
        Write
    2 Usage: a newer countersign wrote it: use that version
        Version
    2 Usage: restore it from version control, or remove it and install with --lock again
        TooLarge, UnknownKey, Value, Missing, OutOfPlace, Duplicate, Syntax
    "#);
}

#[test]
fn the_failure_of_a_lock_file_has_the_kind_of_its_error() {
    for error in countersign_download::samples::lock_file_errors() {
        let (kind, label) = (error.kind(), label(&error));
        let failure = Failure::from(error);
        assert_eq!(failure.kind, kind, "{label}");
        assert!(!failure.hints().is_empty(), "{label}");
    }
}

#[test]
fn what_is_said_of_a_store_that_was_named_names_it() {
    let named = std::path::Path::new("two words");
    for error in countersign_download::samples::store_errors() {
        let failure = Failure::of_store(error, Some(named));
        for hint in failure.hints() {
            let removes = hint.contains("`countersign remove") || hint.contains("shows what is");
            assert_eq!(hint.contains(" --store 'two words'"), removes, "{hint}");
        }
    }
}

#[test]
fn what_is_said_of_stores() {
    let errors = countersign_download::samples::store_errors();
    assert_snapshot!(table(errors, label), @r"
    1 Internal: this is a bug in countersign; please report it, with the output of COUNTERSIGN_LOG=debug
        Installation/Cancelled
    2 Usage: `countersign list` shows the names of all installed entries
        Name/NameError
    2 Usage: look at it; if you don't need it, `countersign remove --unrecorded app` removes it
        NoRecord
    2 Usage: name the directory of installed entries: --store DIR, or COUNTERSIGN_STORE_DIR
        NotADirectory
    6 NotFound: `countersign list` shows what is installed
        NotInstalled
    ");
}

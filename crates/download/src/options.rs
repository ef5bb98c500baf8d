//! Options of installing and removing. The defaults permit nothing risky.

/// What may be replaced, and whether to wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InstallOptions {
    /// An image that was signed before the one that is installed.
    pub downgrade: Downgrade,
    /// Content of the very digest that is installed.
    pub same: WhenSame,
    /// Another run that installs to the same directory.
    pub busy: WhenBusy,
    /// What a crash of the machine may take.
    pub durability: Durability,
}

/// What [`Store::remove`](crate::Store::remove) may remove, and whether it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RemoveOptions {
    /// What has the name of an installation, but no record of one.
    pub unrecorded: Unrecorded,
    /// Another run that installs to the same directory.
    pub busy: WhenBusy,
}

/// Whether an image may replace one that was signed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Downgrade {
    /// It may not.
    #[default]
    Refuse,
    /// It may.
    Allow,
}

/// What to do where the digest is installed already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenSame {
    /// Leave what is installed as it is.
    #[default]
    Keep,
    /// Fetch it again and replace what is installed.
    Reinstall,
}

/// What to do while another run holds the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenBusy {
    /// Fail with [`Error::Busy`](crate::Error::Busy).
    #[default]
    Fail,
    /// Wait until the other run has ended.
    Wait,
}

/// What a crash of the machine, or a loss of power, may take of an installation that has succeeded. A crash of
/// the program alone never takes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Nothing. All of it is on the disk before it takes the target's place.
    #[default]
    Full,
    /// Any of it: files may be missing, empty or cut. This doesn't wait for the disk.
    None,
}

/// Whether something without a record may be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unrecorded {
    /// It may not.
    #[default]
    Refuse,
    /// It may, whatever it is.
    Remove,
}

/// Whether an index from elsewhere may name addresses of private networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PrivateAddresses {
    /// It may not.
    #[default]
    Refuse,
    /// It may.
    Allow,
}

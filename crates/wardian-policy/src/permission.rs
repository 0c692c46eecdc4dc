//! Permissions: the kinds of things that an agent can be allowed to do at all.

use bitflags::bitflags;

bitflags! {
    /// A set of permissions. None implies another; an agent that has none can do nothing.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Permission: u32 {
        /// Nothing.
        const NONE = 0;
        /// Read files in granted directories.
        const READ_FILE = 1 << 0;
        /// Create, change and remove files in granted directories.
        const WRITE_FILE = 1 << 1;
        /// Run code.
        const EXECUTE_CODE = 1 << 2;
        /// Talk to granted domains, through tools. Code itself never has a socket.
        const NETWORK_ACCESS = 1 << 3;
        /// Query databases, through tools.
        const DATABASE_READ = 1 << 4;
        /// Change databases, through tools.
        const DATABASE_WRITE = 1 << 5;
        /// Send mail, through tools.
        const SEND_EMAIL = 1 << 6;

        /// [`READ_FILE`](Self::READ_FILE) and [`DATABASE_READ`](Self::DATABASE_READ).
        const READONLY = Self::READ_FILE.bits() | Self::DATABASE_READ.bits();
        /// [`READONLY`](Self::READONLY), [`WRITE_FILE`](Self::WRITE_FILE) and
        /// [`NETWORK_ACCESS`](Self::NETWORK_ACCESS).
        const STANDARD = Self::READONLY.bits() | Self::WRITE_FILE.bits() | Self::NETWORK_ACCESS.bits();
        /// All of them.
        const FULL = Self::STANDARD.bits()
            | Self::EXECUTE_CODE.bits()
            | Self::DATABASE_WRITE.bits()
            | Self::SEND_EMAIL.bits();
    }
}

impl Permission {
    /// Iterates over the names of the single permissions in it.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.iter_names().map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::Permission;

    #[test]
    fn combinations_hold_their_parts() {
        assert_eq!(
            Permission::READONLY,
            Permission::READ_FILE | Permission::DATABASE_READ
        );
        assert_eq!(
            Permission::FULL - Permission::STANDARD,
            Permission::EXECUTE_CODE | Permission::DATABASE_WRITE | Permission::SEND_EMAIL
        );
        assert_eq!(Permission::FULL, Permission::all());
        assert!(Permission::NONE.is_empty());
    }
}

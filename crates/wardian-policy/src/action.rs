//! Actions: the things that an agent can ask to do.

use std::fmt;
use std::str::FromStr;

use crate::Permission;

/// Something that a policy allows or refuses. Each needs exactly one [`Permission`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Read a file or list a directory. The resource is an absolute path.
    ReadFile,
    /// Create, change or remove a file or a directory. The resource is an absolute path.
    WriteFile,
    /// Run code. The resource says nothing.
    Execute,
    /// Send a request. The resource is an `http` or `https` URL.
    HttpRequest,
    /// Query a database. The resource is its name.
    DbRead,
    /// Change a database. The resource is its name.
    DbWrite,
    /// Send a mail. The resource is its recipient.
    SendEmail,
}

impl Permission {
    /// Returns the permission of this name, in any case: `READ_FILE`, `read_file`, or the name of
    /// the
    /// [`Action`] that takes it, `db_read`.
    pub fn named(name: &str) -> Option<Self> {
        let named = Self::from_name(&name.to_uppercase());
        named.or_else(|| Some(name.parse::<Action>().ok()?.permission()))
    }
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ReadFile,
        Self::WriteFile,
        Self::Execute,
        Self::HttpRequest,
        Self::DbRead,
        Self::DbWrite,
        Self::SendEmail,
    ];

    /// Its name: `read_file`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadFile => "read_file",
            Self::WriteFile => "write_file",
            Self::Execute => "execute",
            Self::HttpRequest => "http_request",
            Self::DbRead => "db_read",
            Self::DbWrite => "db_write",
            Self::SendEmail => "send_email",
        }
    }

    /// Infers the action of a tool from its name alone: by the words `read`, `write`, `save`,
    /// `execute`, `run`, `fetch`, `search`, `query`, `insert`, `delete` and `email`.
    ///
    /// For tools that declare nothing; a declaration is better. Whole words count (`deleteUser` has
    /// two, `thread` is not `read`), the most dangerous wins, and a name without any, or with a
    /// word that stands for something else that can do harm, has no action.
    ///
    /// # Errors
    ///
    /// [`UnclearName`]: such a tool has to declare what it does.
    pub fn infer(name: &str) -> Result<Self, UnclearName> {
        let unclear = || UnclearName(name.to_owned());
        let words = words(name);
        if words.iter().any(|word| HARMFUL.contains(&word.as_str())) {
            return Err(unclear());
        }
        let of = |word: &String| KEYWORDS.iter().position(|(keyword, _)| keyword == word);
        let most_dangerous = words.iter().filter_map(of).min();
        let found = most_dangerous.and_then(|at| KEYWORDS.get(at));
        found.map(|(_, action)| *action).ok_or_else(unclear)
    }

    /// Returns the permission that it takes.
    pub const fn permission(self) -> Permission {
        match self {
            Self::ReadFile => Permission::READ_FILE,
            Self::WriteFile => Permission::WRITE_FILE,
            Self::Execute => Permission::EXECUTE_CODE,
            Self::HttpRequest => Permission::NETWORK_ACCESS,
            Self::DbRead => Permission::DATABASE_READ,
            Self::DbWrite => Permission::DATABASE_WRITE,
            Self::SendEmail => Permission::SEND_EMAIL,
        }
    }
}

/// Words for actions, the most dangerous first.
const KEYWORDS: [(&str, Action); 11] = [
    ("execute", Action::Execute),
    ("run", Action::Execute),
    ("email", Action::SendEmail),
    ("delete", Action::DbWrite),
    ("insert", Action::DbWrite),
    ("write", Action::WriteFile),
    ("save", Action::WriteFile),
    ("fetch", Action::HttpRequest),
    ("search", Action::HttpRequest),
    ("query", Action::DbRead),
    ("read", Action::ReadFile),
];

/// Words that say that more happens than an action has a name for.
const HARMFUL: &[&str] = &[
    "approve",
    "cancel",
    "change",
    "clear",
    "create",
    "destroy",
    "disable",
    "drop",
    "edit",
    "enable",
    "fire",
    "grant",
    "kill",
    "move",
    "off",
    "overwrite",
    "patch",
    "pay",
    "post",
    "publish",
    "purge",
    "push",
    "put",
    "refund",
    "remove",
    "rename",
    "replace",
    "reset",
    "revoke",
    "rm",
    "send",
    "set",
    "transfer",
    "truncate",
    "update",
    "upload",
    "wipe",
];

/// The words of a name, in lower case: `getUser`, `get-user`, `get.user` have two.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let chars: Vec<char> = name.chars().collect();
    for (at, char) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        let after = chars.get(at + 1);
        let separates = matches!(char, '_' | '-' | '.' | '/' | ':' | ' ');
        let starts = char.is_ascii_uppercase()
            && (before.is_some_and(char::is_ascii_lowercase)
                || after.is_some_and(char::is_ascii_lowercase));
        if separates || starts {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| !separates) {
            word.push(char.to_ascii_lowercase());
        }
    }
    words
}

/// A name that does not tell what its tool does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name {0:?} does not say what the tool does; declare its action")]
pub struct UnclearName(pub String);

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// There is no action of that name, so nothing can allow it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no action {0:?}; there are {all}", all = Action::ALL.map(Action::name).join(", "))]
pub struct UnknownAction(pub String);

impl FromStr for Action {
    type Err = UnknownAction;

    /// Reads an action's name, or that of the permission that it takes, in any case: `db_read`,
    /// `DATABASE_READ`.
    fn from_str(name: &str) -> Result<Self, UnknownAction> {
        let lower = name.to_lowercase();
        let named = Self::ALL.into_iter().find(|action| {
            let mut permission = action.permission().names();
            action.name() == lower || permission.any(|name| name.to_lowercase() == lower)
        });
        named.ok_or_else(|| UnknownAction(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tool_01_to_tool_06_names_that_say_something() {
        for (action, names) in [
            (
                Some(Action::ReadFile),
                "read_file readFile READ read-file ns::read fs.read",
            ),
            (Some(Action::WriteFile), "write_file read_write save_report"),
            (
                Some(Action::Execute),
                "run_code execute payload_run dry_run_delete run_and_email",
            ),
            (Some(Action::HttpRequest), "fetch_url search_web HTTPFetch"),
            (
                Some(Action::DbRead),
                "query_orders order-lines/query read_query",
            ),
            (
                Some(Action::DbWrite),
                "delete_user deleteUser user.delete ns::delete DELETE Delete get_and_delete thread_delete \
                 not_delete                  insert_row",
            ),
            (Some(Action::SendEmail), "email_customer list_then_email"),
            // TOOL-01 to TOOL-03: a word inside of a word.
            (
                None,
                "spread_sheet already_paid_refund bread_order readonly_off unread_purge proofread_publish \
                 forget_user                  widget_destroy budget_transfer target_fire gadget_reset \
                 together_send blacklist_add enlist                  checklist_wipe review_approve \
                 interview_cancel shower findings_delet research_purge upload                  \
                 prefetch_and_drop undelete",
            ),
            // TOOL-04: harmless, but nothing says so.
            (
                None,
                "executive_summary prune_preview address_lookup compute input_schema output_get \
                 dropdown_get                  skill_list model_get delta postpone_preview sender_info \
                 asset_view form_get",
            ),
            // TOOL-05: more than an action has a name for.
            (None, "read_and_drop query_then_send save_and_publish"),
            // TOOL-06: spelling.
            (
                None,
                "de_lete d-e-l-e-t-e del\u{435}te \u{ff44}elete delete\u{200b} l\u{f6}schen rm drop read2",
            ),
        ] {
            for name in names.split_whitespace() {
                assert_eq!(Action::infer(name).ok(), action, "{name}");
            }
        }
        assert!(Action::infer("").is_err());
    }

    #[test]
    fn every_permission_is_for_one_action() {
        let all = Action::ALL.map(Action::permission);
        assert_eq!(all.into_iter().collect::<Permission>(), Permission::FULL);
        for action in Action::ALL {
            assert_eq!(action.name().parse(), Ok(action));
        }
        assert_eq!("DATABASE_READ".parse(), Ok(Action::DbRead));
        assert_eq!("Read_File".parse(), Ok(Action::ReadFile));
        assert!("chmod".parse::<Action>().is_err());
    }
}

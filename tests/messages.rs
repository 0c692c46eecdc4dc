//! The table of all texts that a user may see: rendered from the sources, and read as one.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Directories with texts that people see: not the attack suite, whose payloads are texts too.
const SOURCES: [&str; 9] = [
    "crates/wardian/src",
    "crates/wardian-audit/src",
    "crates/wardian-cli/src",
    "crates/wardian-engine/src",
    "crates/wardian-guest-wasm/build",
    "crates/wardian-policy/src",
    "crates/wardian-testkit/src",
    "crates/wardian-tools/src",
    "guest/screen/src",
];

const HEAD: &str = "\
# Messages

Every text of three words or more in the sources of what people use, by file: refusals, errors, advice,
headings, help that is no doc comment. A test writes this page (`UPDATE_EXPECT=1 cargo test --release -p wardian-tests
messages`), so that all of them can be read in one sitting, and a new one is seen in review. `{}` stands for a value.
";

/// `UPDATE_EXPECT=1` renders it anew.
#[test]
fn the_table_of_messages_is_rendered() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut page = HEAD.to_owned();
    for directory in SOURCES {
        for file in files(&root.join(directory)) {
            let tokens = fs::read_to_string(&file).unwrap().parse().unwrap();
            let mut texts = Vec::new();
            collect(tokens, &mut texts);
            let file = file.strip_prefix(&root).unwrap();
            if !texts.is_empty() {
                write!(page, "\n## {}\n\n", file.display()).unwrap();
            }
            for text in texts {
                writeln!(
                    page,
                    "- {}",
                    text.escape_debug()
                        .to_string()
                        .replace("\\'", "'")
                        .replace("\\\"", "\"")
                )
                .unwrap();
            }
        }
    }
    let path = root.join("docs/messages.md");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let rendered = fs::read_to_string(path).unwrap_or_default();
    assert!(
        rendered == page,
        "UPDATE_EXPECT=1 renders docs/messages.md anew"
    );
}

/// The Rust files beneath `directory`, in order, without those of tests.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    let nested = entries.into_iter().flat_map(|path| {
        if path.is_dir() {
            files(&path)
        } else {
            vec![path]
        }
    });
    let is_source = |path: &PathBuf| {
        path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs")
    };
    nested.filter(is_source).collect()
}

/// Collects the texts of three words or more, in order: of code, and of `#[error(…)]` alone among attributes.
fn collect(tokens: TokenStream, texts: &mut Vec<String>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                tokens.next_if(
                    |token| matches!(token, TokenTree::Punct(bang) if bang.as_char() == '!'),
                );
                let is_attribute = |token: &TokenTree| matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket);
                let Some(attribute) = tokens.next_if(is_attribute) else {
                    continue;
                };
                let TokenTree::Group(attribute) = attribute else {
                    continue;
                };
                match attribute.stream().to_string() {
                    name if name.starts_with("error") => collect(attribute.stream(), texts),
                    // What follows is a module of tests, until its body ends.
                    name if name == "cfg (test)" || name == "cfg(test)" => {
                        let is_body = |token: &TokenTree| matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
                        tokens.find(is_body);
                    }
                    _ => {}
                }
            }
            TokenTree::Group(group) => collect(group.stream(), texts),
            TokenTree::Literal(literal) => {
                let text = syn::parse_str::<syn::LitStr>(&literal.to_string());
                texts.extend(
                    text.map(|text| text.value())
                        .ok()
                        .filter(|text| is_message(text)),
                );
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

fn is_message(text: &str) -> bool {
    let is_word = |word: &&str| word.chars().filter(|char| char.is_alphabetic()).count() > 1;
    text.split_whitespace().filter(is_word).count() >= 3
}

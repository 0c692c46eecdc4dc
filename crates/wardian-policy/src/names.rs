//! Names: of variables in Python, of variables in the environment.

/// Can this be a name in Python?
pub fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|first| first.is_alphabetic() || first == '_')
        && chars.all(|rest| rest.is_alphanumeric() || rest == '_')
}

/// Can this be the name of a tool? In lower case and in ASCII, so that no two look alike.
pub fn is_tool_name(name: &str) -> bool {
    let rest = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_';
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(rest)
}

/// Can a variable of the environment have this name and this value?
pub fn is_env_variable(name: &str, value: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
}

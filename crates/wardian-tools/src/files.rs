//! Files in granted directories.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wardian::{Call, Tool, ToolError, policy::Action, tool::DirectoryEntry};

use crate::ConfigError;
use crate::config::ToolConfig;

/// The most entries of a directory that are listed.
const ENTRIES: usize = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoConfig {}

/// Reads a text file.
#[derive(Serialize, Deserialize, JsonSchema)]
struct ReadFile {
    /// Its absolute path.
    path: String,
}

/// Writes a text file.
#[derive(Serialize, Deserialize, JsonSchema)]
struct WriteFile {
    /// Its absolute path.
    path: String,
    /// Text to write.
    content: String,
    /// Add to what is there, instead of replacing it.
    #[serde(default)]
    append: bool,
}

/// Lists a directory: name, kind and size of each entry.
#[derive(Serialize, Deserialize, JsonSchema)]
struct ListDir {
    /// Its absolute path.
    path: String,
}

pub(crate) fn read_file(setting: ToolConfig<'_>) -> Result<Tool, ConfigError> {
    let NoConfig {} = setting.config()?;
    let handler = |args: ReadFile, call: Call| async move {
        let most = call.reply_bytes();
        let bytes = call.files().read_within(&args.path, most).await?;
        let not_text =
            |_| ToolError::failed(format!("{} is not UTF-8 text", args.path.escape_debug()));
        String::from_utf8(bytes).map_err(not_text)
    };
    on_path(setting, Tool::new(setting.tool, Action::ReadFile, handler))
}

pub(crate) fn write_file(setting: ToolConfig<'_>) -> Result<Tool, ConfigError> {
    let NoConfig {} = setting.config()?;
    let handler = |args: WriteFile, call: Call| async move {
        let bytes = args.content.into_bytes();
        call.files().write(&args.path, bytes, args.append).await
    };
    on_path(setting, Tool::new(setting.tool, Action::WriteFile, handler))
}

pub(crate) fn list_dir(setting: ToolConfig<'_>) -> Result<Tool, ConfigError> {
    let NoConfig {} = setting.config()?;
    let handler = |args: ListDir, call: Call| async move {
        let entries: Vec<DirectoryEntry> = call.files().list(&args.path, ENTRIES).await?;
        Ok(entries)
    };
    on_path(setting, Tool::new(setting.tool, Action::ReadFile, handler))
}

fn on_path(
    setting: ToolConfig<'_>,
    tool: Result<Tool, wardian::tool::ToolDefinitionError>,
) -> Result<Tool, ConfigError> {
    tool.and_then(|tool| tool.resource("path"))
        .map_err(|error| setting.undeclared(error))
}

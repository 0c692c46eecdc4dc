//! Charts, without Python: a figure that is described as JSON, as SVG, as PNG, or as the data of
//! its charts.

mod axis;
mod color;
mod data;
mod draw;
mod figure;
mod font;
mod marks;
mod png;
mod scene;
mod svg;
mod ticks;

pub use figure::Figure;

use crate::font::Font;

/// The most pixels of a picture.
pub const PIXELS: f32 = 32e6;

impl Figure {
    /// Reads a description.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn from_json(json: &str) -> Result<Self, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    /// Returns the figure as SVG.
    #[must_use]
    pub fn svg(&self) -> String {
        let font = Font::new();
        svg::write(&draw::draw(self, &font), &font)
    }

    /// Returns the figure as PNG, with so many pixels for an inch.
    ///
    /// # Errors
    ///
    /// If it had no pixels, or more than [`PIXELS`].
    pub fn png(&self, dpi: f32) -> Result<Vec<u8>, String> {
        let (width, height) = (self.width * dpi / 72.0, self.height * dpi / 72.0);
        let font = Font::new();
        let picture = (width >= 1.0 && height >= 1.0 && width * height <= PIXELS)
            .then(|| png::write(&draw::draw(self, &font), &font, dpi / 72.0));
        picture.flatten().ok_or_else(|| {
            format!(
                "a picture of {width:.0} times {height:.0} pixels can't be made: it has one pixel at least, and \
                 {:.0} million at most",
                PIXELS / 1e6
            )
        })
    }

    /// Returns the data of the charts, in the form of E2B (`e2b/chart`).
    #[must_use]
    pub fn data(&self) -> String {
        data::data(self).to_string()
    }
}

/// Reads a colour: `#rrggbbaa` of its name, of hexadecimal digits, or of a grey from 0 to 1.
#[must_use]
pub fn color(text: &str) -> Option<String> {
    let color = color::Color::parse(text)?;
    Some(format!("{}{:02x}", color.rgb(), color.0[3]))
}

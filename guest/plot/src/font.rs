//! The font: a part of DejaVu Sans with the letters of Latin, Greek and Cyrillic, digits and signs.

use tiny_skia::{Path, PathBuilder};
use ttf_parser::{Face, OutlineBuilder};

static FONT: &[u8] = include_bytes!("../font/DejaVuSans.ttf");

pub(crate) struct Font(Face<'static>);

impl Font {
    pub(crate) fn new() -> Self {
        Self(Face::parse(FONT, 0).expect("the font is ours"))
    }

    /// The length of a line of text, by the size of its letters.
    pub(crate) fn width(&self, text: &str, size: f32) -> f32 {
        let advances = text.chars().map(|letter| self.advance(letter));
        advances.sum::<f32>() * self.scale(size)
    }

    /// The height of a capital letter.
    pub(crate) fn height(&self, size: f32) -> f32 {
        0.73 * size
    }

    /// A line of text as a shape, from the left end of its base line.
    pub(crate) fn outline(&self, text: &str, size: f32) -> Option<Path> {
        let mut outline = Outline {
            builder: PathBuilder::new(),
            scale: self.scale(size),
            x: 0.0,
        };
        for letter in text.chars() {
            let glyph = self.0.glyph_index(letter).unwrap_or_default();
            self.0.outline_glyph(glyph, &mut outline);
            outline.x += self.advance(letter) * outline.scale;
        }
        outline.builder.finish()
    }

    fn advance(&self, letter: char) -> f32 {
        let glyph = self.0.glyph_index(letter).unwrap_or_default();
        f32::from(self.0.glyph_hor_advance(glyph).unwrap_or_default())
    }

    fn scale(&self, size: f32) -> f32 {
        size / f32::from(self.0.units_per_em())
    }
}

/// Glyphs side by side, with `y` downwards.
struct Outline {
    builder: PathBuilder,
    scale: f32,
    x: f32,
}

impl Outline {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.scale, -y * self.scale)
    }
}

impl OutlineBuilder for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.builder.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.builder.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.builder.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.builder.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.builder.close();
    }
}

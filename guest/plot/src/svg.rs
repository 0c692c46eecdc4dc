//! A scene as SVG.

use std::fmt::Write as _;

use tiny_skia::{Path, PathSegment, Rect};

use crate::color::Color;
use crate::figure::Align;
use crate::font::Font;
use crate::scene::{Item, Scene, Text};

/// The numbers of a picture have this many decimals at most: a fiftieth of a pixel.
struct Short(f32);

impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{:.2}", self.0);
        let text = text.trim_end_matches('0').trim_end_matches('.');
        f.write_str(if text == "-0" { "0" } else { text })
    }
}

pub(crate) fn write(scene: &Scene, font: &Font) -> String {
    let mut svg = String::new();
    let (width, height) = (Short(scene.width), Short(scene.height));
    // Writing to a text does not fail.
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}pt\" height=\"{height}pt\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"'DejaVu Sans', Verdana, sans-serif\">"
    );
    for (number, layer) in scene.layers.iter().enumerate() {
        match layer.clip {
            Some(clip) => write_clip(&mut svg, number, clip),
            None => svg.push_str("<g>\n"),
        }
        for item in &layer.items {
            match item {
                Item::Shape { path, fill, pen } => {
                    svg.push_str("<path d=\"");
                    write_path(&mut svg, path);
                    svg.push('"');
                    match fill {
                        Some(color) => write_color(&mut svg, "fill", *color),
                        None => svg.push_str(" fill=\"none\""),
                    }
                    if let Some(pen) = pen {
                        write_color(&mut svg, "stroke", pen.color);
                        let _ = write!(svg, " stroke-width=\"{}\"", Short(pen.width));
                        let dashes = pen.dashes();
                        if dashes.is_empty() {
                            svg.push_str(" stroke-linecap=\"square\" stroke-linejoin=\"round\"");
                        } else {
                            let dashes = dashes.iter().map(|dash| Short(*dash).to_string());
                            let dashes = dashes.collect::<Vec<_>>().join(" ");
                            let _ = write!(svg, " stroke-dasharray=\"{dashes}\"");
                        }
                    }
                    svg.push_str("/>\n");
                }
                Item::Text(text) => write_text(&mut svg, text, font),
            }
        }
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn write_clip(svg: &mut String, number: usize, clip: Rect) {
    let [x, y] = [Short(clip.left()), Short(clip.top())];
    let [width, height] = [Short(clip.width()), Short(clip.height())];
    let _ = writeln!(
        svg,
        "<clipPath id=\"clip{number}\"><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/></clipPath>\n\
         <g clip-path=\"url(#clip{number})\">"
    );
}

fn write_path(svg: &mut String, path: &Path) {
    for segment in path.segments() {
        let (verb, points) = match segment {
            PathSegment::MoveTo(to) => ('M', vec![to]),
            PathSegment::LineTo(to) => ('L', vec![to]),
            PathSegment::QuadTo(control, to) => ('Q', vec![control, to]),
            PathSegment::CubicTo(first, second, to) => ('C', vec![first, second, to]),
            PathSegment::Close => ('Z', vec![]),
        };
        svg.push(verb);
        for (place, point) in points.iter().enumerate() {
            let gap = if place > 0 { " " } else { "" };
            let _ = write!(svg, "{gap}{} {}", Short(point.x), Short(point.y));
        }
    }
}

fn write_color(svg: &mut String, part: &str, color: Color) {
    let _ = write!(svg, " {part}=\"{}\"", color.rgb());
    if color.opacity() < 1.0 {
        let _ = write!(svg, " {part}-opacity=\"{}\"", Short(color.opacity()));
    }
}

fn write_text(svg: &mut String, text: &Text, font: &Font) {
    let anchor = match text.horizontal {
        Align::Start => "",
        Align::Middle => " text-anchor=\"middle\"",
        Align::End => " text-anchor=\"end\"",
    };
    let (x, y) = (Short(text.x), Short(text.y));
    let _ = write!(svg, "<text transform=\"translate({x} {y})");
    if text.turn != 0.0 {
        let _ = write!(svg, " rotate({})", Short(-text.turn));
    }
    let base = Short(text.base_line(font));
    let _ = write!(
        svg,
        "\" y=\"{base}\" font-size=\"{}\"{anchor}",
        Short(text.size)
    );
    write_color(svg, "fill", text.color);
    svg.push('>');
    for letter in text.text.chars() {
        match letter {
            '&' => svg.push_str("&amp;"),
            '<' => svg.push_str("&lt;"),
            '>' => svg.push_str("&gt;"),
            // XML has no such letters.
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => svg.push('\u{fffd}'),
            letter => svg.push(letter),
        }
    }
    svg.push_str("</text>\n");
}

impl Text {
    /// Returns the distance from its place down to its base line, before it is turned.
    pub(crate) fn base_line(&self, font: &Font) -> f32 {
        match self.vertical {
            Align::Start => font.height(self.size),
            Align::Middle => font.height(self.size) / 2.0,
            // Room for what is below the base line.
            Align::End => -0.2 * self.size,
        }
    }
}

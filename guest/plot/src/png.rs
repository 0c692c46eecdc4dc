//! A scene as PNG.

use tiny_skia::{
    FillRule, LineCap, LineJoin, Mask, Paint, Path, PathBuilder, Pixmap, Stroke, StrokeDash,
    Transform,
};

use crate::color::Color;
use crate::figure::{Align, Pen};
use crate::font::Font;
use crate::scene::{Item, Scene, Text};

/// Returns the picture with so many pixels for a point; `None` if it has no pixels, or more than
/// there is memory for.
pub(crate) fn write(scene: &Scene, font: &Font, scale: f32) -> Option<Vec<u8>> {
    let pixels = |length: f32| (length * scale).round() as u32;
    let mut picture = Picture {
        pixmap: Pixmap::new(pixels(scene.width), pixels(scene.height))?,
        transform: Transform::from_scale(scale, scale),
        mask: None,
    };
    for layer in &scene.layers {
        picture.mask = match layer.clip {
            Some(clip) => {
                let mut mask = Mask::new(picture.pixmap.width(), picture.pixmap.height())?;
                let path = PathBuilder::from_rect(clip);
                mask.fill_path(&path, FillRule::Winding, true, picture.transform);
                Some(mask)
            }
            None => None,
        };
        for item in &layer.items {
            match item {
                Item::Shape { path, fill, pen } => {
                    if let Some(fill) = fill {
                        picture.fill(path, *fill, Transform::identity());
                    }
                    if let Some(pen) = pen {
                        picture.stroke(path, pen);
                    }
                }
                Item::Text(text) => picture.text(text, font),
            }
        }
    }
    picture.pixmap.encode_png().ok()
}

struct Picture {
    pixmap: Pixmap,
    transform: Transform,
    mask: Option<Mask>,
}

impl Picture {
    fn fill(&mut self, path: &Path, color: Color, before: Transform) {
        let transform = self.transform.pre_concat(before);
        let paint = paint(color);
        self.pixmap.fill_path(
            path,
            &paint,
            FillRule::Winding,
            transform,
            self.mask.as_ref(),
        );
    }

    fn stroke(&mut self, path: &Path, pen: &Pen) {
        let dashes = pen.dashes();
        let stroke = Stroke {
            width: pen.width,
            line_cap: if dashes.is_empty() {
                LineCap::Square
            } else {
                LineCap::Butt
            },
            line_join: LineJoin::Round,
            dash: StrokeDash::new(dashes, 0.0),
            ..Stroke::default()
        };
        let paint = paint(pen.color);
        let mask = self.mask.as_ref();
        self.pixmap
            .stroke_path(path, &paint, &stroke, self.transform, mask);
    }

    fn text(&mut self, text: &Text, font: &Font) {
        let left = match text.horizontal {
            Align::Start => 0.0,
            Align::Middle => font.width(&text.text, text.size) / 2.0,
            Align::End => font.width(&text.text, text.size),
        };
        let place = Transform::from_translate(text.x, text.y)
            .pre_concat(Transform::from_rotate(-text.turn))
            .pre_concat(Transform::from_translate(-left, text.base_line(font)));
        if let Some(outline) = font.outline(&text.text, text.size) {
            self.fill(&outline, text.color, place);
        }
    }
}

fn paint(color: Color) -> Paint<'static> {
    let [red, green, blue, opacity] = color.0;
    let mut paint = Paint::default();
    paint.set_color_rgba8(red, green, blue, opacity);
    paint
}

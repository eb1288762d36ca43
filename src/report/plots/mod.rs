//! Charts as SVG and PNG. One file per chart; each draws on a [`Sheet`], whatever its format.
//!
//! Colours are those of Okabe and Ito, which people with any colour vision can tell apart. The font of the
//! PNG text is compiled in, so that a picture looks the same on every machine.

pub mod canvas;
pub mod capacity;
pub mod compare;
pub mod latency;
pub mod nodes;
pub mod phases;
pub mod replicas;
pub mod requests;
pub mod waterfall;

use crate::outcome::Outcome;
use canvas::{HEIGHT, Sheet, WIDTH};
use plotters::backend::{BitMapBackend, SVGBackend};
use plotters::prelude::{DrawingBackend, IntoDrawingArea};
use plotters::style::{FontStyle, register_font};
use std::sync::Once;

/// What can go wrong in drawing, as text.
pub type Drawn = Result<(), String>;

/// The name of a file and its bytes.
pub type Picture = (String, Vec<u8>);

/// One chart: draws an outcome, or says that there is nothing to draw.
struct Chart {
    name: &'static str,
    applies: fn(&Outcome) -> bool,
    svg: fn(&Outcome, &Sheet<SVGBackend<'_>>) -> Drawn,
    png: fn(&Outcome, &Sheet<BitMapBackend<'_>>) -> Drawn,
}

macro_rules! chart {
    ($name:literal, $module:ident) => {
        Chart {
            name: $name,
            applies: $module::applies,
            svg: |outcome, sheet| $module::draw(outcome, sheet),
            png: |outcome, sheet| $module::draw(outcome, sheet),
        }
    };
}

/// All charts.
const CHARTS: &[Chart] = &[
    chart!("replicas", replicas),
    chart!("utilization", nodes),
    chart!("capacity", capacity),
    chart!("phases", phases),
    chart!("recovery", waterfall),
    chart!("requests", requests),
    chart!("latency", latency),
];

/// Every chart that applies, in both formats.
///
/// # Errors
/// What the drawing library could not do.
pub fn all(outcome: &Outcome) -> Result<Vec<Picture>, String> {
    register();
    let mut pictures = Vec::new();
    for chart in CHARTS.iter().filter(|chart| (chart.applies)(outcome)) {
        pictures.extend(picture(chart.name, |sheet| (chart.svg)(outcome, sheet), |sheet| (chart.png)(outcome, sheet))?);
    }
    Ok(pictures)
}

/// One picture in both formats.
fn picture(
    name: &str,
    draw_svg: impl FnOnce(&Sheet<SVGBackend<'_>>) -> Drawn,
    draw_png: impl FnOnce(&Sheet<BitMapBackend<'_>>) -> Drawn,
) -> Result<[Picture; 2], String> {
    let mut svg = String::new();
    let sheet = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
    draw_svg(&sheet)?;
    present(sheet)?;
    let mut pixels = vec![255; (WIDTH * HEIGHT * 3) as usize];
    let sheet = BitMapBackend::with_buffer(&mut pixels, (WIDTH, HEIGHT)).into_drawing_area();
    draw_png(&sheet)?;
    present(sheet)?;
    Ok([(format!("{name}.svg"), svg.into_bytes()), (format!("{name}.png"), encode(&pixels)?)])
}

fn present<B: DrawingBackend>(sheet: Sheet<B>) -> Drawn {
    sheet.present().map_err(|error| error.to_string())
}

/// Gives the drawing library its font, once.
fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for style in [FontStyle::Normal, FontStyle::Bold] {
            // Refused only if the bytes are no font, which a test would show.
            let _ = register_font("sans-serif", style, epaint_default_fonts::UBUNTU_LIGHT);
        }
    });
}

/// Pixels as PNG.
fn encode(pixels: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(pixels));
    written.map_err(|error| error.to_string())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chart_is_drawn_in_both_formats() {
        let contents = all(&crate::report::tests::outcome()).unwrap();
        let names: Vec<&str> = contents.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.len(), 2 * CHARTS.len(), "{names:?}");
        for (name, bytes) in &contents {
            match name.ends_with(".png") {
                true => assert_eq!(&bytes[1..4], b"PNG", "{name}"),
                false => assert!(String::from_utf8_lossy(bytes).contains("</svg>"), "{name}"),
            }
        }
        assert_eq!(all(&Outcome::default()).unwrap(), Vec::new(), "nothing happened, nothing to draw");
    }
}

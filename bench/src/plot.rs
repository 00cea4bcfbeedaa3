//! The plot: what one read call costs each server, as bars.

use std::collections::BTreeMap;

use anyhow::Context as _;
use plotters::{
    backend::SVGBackend,
    drawing::IntoDrawingArea as _,
    element::{Rectangle, Text},
    style::{Color as _, IntoFont as _, RGBColor},
};

use crate::{contender::Server, figures::thousandths, findings::Findings};

const WIDTH: i32 = 760;
const BAR: i32 = 18;
const GAP: i32 = 8;

/// Where bars begin, after the names, and how long the longest is.
const LEFT: i32 = 310;
const LONGEST: i32 = 380;

const INK: RGBColor = RGBColor(60, 60, 60);
const OURS: RGBColor = RGBColor(31, 119, 180);
const OTHERS: RGBColor = RGBColor(170, 170, 170);

/// Read calls in sessions and modern ones: CPU time of the server process. Nothing where neither was measured.
pub(crate) fn calls(found: &BTreeMap<&str, Findings>) -> anyhow::Result<Option<String>> {
    let mut bars = Vec::new();
    for (mode, suffix) in [("sessions", "2025-11-25"), ("modern", "2026-07-28")] {
        let Some(findings) = found.get(mode) else { continue };
        for server in Server::ALL {
            if let Some(nanos) = findings.figures.get(&format!("cpu_nanos.{}", server.key())) {
                let ours = matches!(server, Server::Sqlite | Server::Postgres);
                bars.push((format!("{}, {suffix}", server.name()), *nanos, ours));
            }
        }
    }
    if bars.is_empty() { Ok(None) } else { draw(&bars).map(Some) }
}

fn draw(bars: &[(String, u64, bool)]) -> anyhow::Result<String> {
    let most = i64::try_from(bars.iter().map(|bar| bar.1).max().unwrap_or(1).max(1))?;
    let height = i32::try_from(bars.len())? * (BAR + GAP) + 50;
    let mut svg = String::new();
    {
        let size = (u32::try_from(WIDTH)?, u32::try_from(height)?);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let failed = |error| anyhow::anyhow!("the plot cannot be drawn: {error}");
        area.fill(&RGBColor(255, 255, 255)).map_err(failed)?;
        let write = |text: String, at, size: i32| {
            let style = ("sans-serif", size).into_font().color(&INK);
            area.draw(&Text::new(text, at, style)).map_err(failed)
        };
        write("CPU time of the server process for one read call, µs".to_owned(), (12, 12), 16)?;
        for (row, (name, nanos, ours)) in (0..).zip(bars) {
            let top = 40 + row * (BAR + GAP);
            let length = i32::try_from(i64::try_from(*nanos)? * i64::from(LONGEST) / most)?.max(1);
            write(name.clone(), (12, top + 2), 13)?;
            let color = if *ours { OURS } else { OTHERS };
            area.draw(&Rectangle::new([(LEFT, top), (LEFT + length, top + BAR)], color.filled()))
                .map_err(failed)?;
            write(thousandths(*nanos, 1), (LEFT + length + 6, top + 2), 13)?;
        }
        area.present().context("the plot cannot be finished")?;
    }
    Ok(svg)
}

//! Growth: a picture a row, both axes logarithmic, a line an engine.

use crate::engine::Result;
use crate::report::{Report, shown};
use crate::sheet::{OURS, Unit};
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (720, 400);
/// Told apart also by those who see no red or no green.
const COLORS: [RGBColor; 8] = [
    RGBColor(0, 90, 181),
    RGBColor(220, 50, 32),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(94, 60, 153),
    RGBColor(120, 120, 120),
    RGBColor(0, 0, 0),
];

struct Line {
    engine: &'static str,
    color: RGBColor,
    points: Vec<(f64, f64)>,
}

pub fn growth(report: &Report<'_>, out: &Path) -> Result<()> {
    let Some(payload) = report.sheet.rows().map(|(row, _)| row.payload).min() else {
        return Ok(());
    };
    for (name, file) in report.pictures {
        let lines = lines(report, name, payload);
        // One size is no growth.
        if lines.iter().any(|line| line.points.len() > 1) {
            let unit = if *file == "heap" || *file == "disk" { Unit::Bytes } else { Unit::Time };
            let title = format!("{name}, {payload} B");
            draw(&title, unit, &lines, &out.join(format!("{file}.svg")))?;
        }
    }
    Ok(())
}

fn lines(report: &Report<'_>, name: &str, payload: usize) -> Vec<Line> {
    let grown = |engine: &&&str| {
        report.sheet.rows().any(|(row, costs)| row.events > 0 && costs.contains_key(**engine))
    };
    let engines = report.columns.iter().filter(grown).copied();
    let line = |(engine, color): (&'static str, &RGBColor)| {
        let rows =
            report.sheet.rows().filter(|(row, _)| row.name == name && row.payload == payload);
        let point = |(row, costs): (&crate::sheet::Row, std::collections::BTreeMap<_, _>)| {
            let cost: &crate::measure::Spread = costs.get(engine)?;
            Some((row.events as f64, cost.median))
        };
        Line { engine, color: *color, points: rows.filter_map(point).collect() }
    };
    let all = engines.zip(COLORS.iter().cycle()).map(line);
    all.filter(|line| !line.points.is_empty()).collect()
}

fn draw(title: &str, unit: Unit, lines: &[Line], path: &Path) -> Result<()> {
    let points = || lines.iter().flat_map(|line| line.points.iter().copied());
    let range = |of: fn((f64, f64)) -> f64| {
        let low = points().map(of).fold(f64::MAX, f64::min);
        (low, points().map(of).fold(low, f64::max))
    };
    let ((left, right), (low, high)) = (range(|(x, _)| x), range(|(_, y)| y));
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(70)
        .build_cartesian_2d(
            (left..right * 1.05).log_scale(),
            (low * 0.7..high * 1.4).log_scale(),
        )?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(225, 225, 225))
        .x_desc("events in the store")
        .x_labels(5)
        .y_labels(6)
        .x_label_formatter(&|events| thousands(*events))
        .y_label_formatter(&|cost| shown(unit, *cost))
        .draw()?;
    for line in lines {
        let width = if line.engine == OURS { 4 } else { 2 };
        let style = line.color.stroke_width(width);
        let color = line.color;
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), style).point_size(width))?
            .label(line.engine)
            .legend(move |(x, y)| {
                PathElement::new([(x, y), (x + 18, y)], color.stroke_width(width))
            });
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(RGBColor(225, 225, 225))
        .draw()?;
    root.present()?;
    Ok(())
}

fn thousands(events: f64) -> String {
    if events >= 1e6 { format!("{:.0} M", events / 1e6) } else { format!("{:.0} k", events / 1e3) }
}

//! Medians, means, and tables.

/// The middle value; 0 of none.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    match (n, n % 2) {
        (0, _) => 0.0,
        (_, 1) => values[n / 2],
        _ => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// The geometric mean; `None` of none.
pub(crate) fn geometric_mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| (values.iter().map(|v| v.ln()).sum::<f64>() / values.len() as f64).exp())
}

/// Rows as text in columns: the first stands left, and the last if it is prose; the others right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let prose = rows.iter().filter_map(|r| r.get(columns.wrapping_sub(1))).any(|s| s.contains(' '));
    let mut text = String::new();
    for row in rows {
        let cell = |(c, s): (usize, &String)| match c == 0 || prose && c + 1 == columns {
            true => format!("{s:<w$}", w = widths[c]),
            false => format!("{s:>w$}", w = widths[c]),
        };
        let line: Vec<String> = row.iter().enumerate().map(cell).collect();
        text += line.join("  ").trim_end();
        text += "\n";
    }
    text
}

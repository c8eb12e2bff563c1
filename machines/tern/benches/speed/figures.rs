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

/// Side of a column that its cells stand on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows as text in columns; `first` gives the sides of the first columns, `rest` that of the others.  The last column, if it
/// is text, is not filled up.
pub(crate) fn table(rows: &[Vec<String>], first: &[Align], rest: Align) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cell = |(c, s): (usize, &String)| match first.get(c).copied().unwrap_or(rest) {
            Align::Left => format!("{s:<w$}", w = widths[c]),
            // Prose is not numbers.
            Align::Right if c + 1 == columns && s.contains(' ') => s.clone(),
            Align::Right => format!("{s:>w$}", w = widths[c]),
        };
        let line: Vec<String> = row.iter().enumerate().map(cell).collect();
        text += line.join("  ").trim_end();
        text += "\n";
    }
    text
}

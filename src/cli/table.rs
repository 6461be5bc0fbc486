//! Rows of records as a plain table.

use crate::value::Type;
use crate::value::parse::from_text;
use crate::value::show::show;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

/// Widest column.
const COLUMN: usize = 40;

/// The records as aligned lines with a heading, at most `most` of them, each cut to `width` columns; a last line says how many
/// are not shown. Columns whose cells are all empty are left out.
pub fn rows(records: &[Value], most: usize, width: usize) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    for record in records.iter().take(most).filter_map(Value::as_object) {
        for name in record.keys() {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
    }
    let body: Vec<Vec<String>> = records
        .iter()
        .take(most)
        .map(|record| {
            columns
                .iter()
                .map(|column| record.get(column).map(cell).unwrap_or_default())
                .collect()
        })
        .collect();
    let mut table: Vec<Vec<String>> = vec![columns];
    table.extend(body);
    let mut lines = align(&table, width);
    if records.len() > most {
        lines.push(format!("… and {} more", records.len() - most));
    }
    lines
}

/// Rows of cells as aligned lines; the first row is the heading, and columns without any content are left out.
pub fn align(table: &[Vec<String>], width: usize) -> Vec<String> {
    let count = table.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|column| {
            let empty = table
                .iter()
                .skip(1)
                .all(|row| row.get(column).is_none_or(String::is_empty));
            let widest = table
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.width())
                .max()
                .unwrap_or(0);
            if empty { 0 } else { widest.min(COLUMN) }
        })
        .collect();
    table
        .iter()
        .map(|row| {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths).filter(|(_, width)| **width > 0) {
                let cell = cut(cell, *width);
                line.push_str(&cell);
                line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width()) + 2));
            }
            cut(line.trim_end(), width)
        })
        .collect()
}

/// The text cut to a number of columns, with a mark where it was cut.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    for character in text.chars() {
        let next = unicode_width::UnicodeWidthChar::width(character).unwrap_or(0);
        if out.width() + next + 1 > width {
            break;
        }
        out.push(character);
    }
    out.push('…');
    out
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        // Exact times and durations are for programs; people read whole units.
        Value::String(text) if text.ends_with(" us") || text.ends_with(" ns") => {
            from_text(&Type::Duration, text).map_or_else(|_| text.clone(), |value| show(&value))
        }
        Value::String(text) if text.ends_with('Z') && text.contains('.') => {
            from_text(&Type::Time, text).map_or_else(|_| text.clone(), |value| show(&value))
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{cut, rows};
    use serde_json::json;

    #[test]
    fn columns_line_up_and_the_rest_is_counted() {
        let records = [
            json!({"pid": 7, "state": "idle"}),
            json!({"pid": 4711, "state": "active"}),
            json!({"pid": 1}),
        ];
        assert_eq!(
            rows(&records, 2, 80),
            ["pid   state", "7     idle", "4711  active", "… and 1 more"]
        );
    }

    #[test]
    fn wide_characters_count_double() {
        assert_eq!(cut("ab", 2), "ab");
        assert_eq!(cut("日本語", 5), "日本…");
    }
}

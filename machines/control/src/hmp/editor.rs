//! The line that is being typed into a monitor: cursor, history, completion (the keys of readline's Emacs mode that QEMU's
//! monitor has).

/// Most lines that are remembered.
const HISTORY: usize = 64;
/// Longest line in bytes.
const LONGEST: usize = 4096;

/// What a key led to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Typed {
    /// Nothing but what is shown.
    Nothing,
    /// A line is complete.
    Line(String),
    /// Names are wanted that go on like the line.
    Complete,
}

/// The editor.
#[derive(Default)]
pub struct Editor {
    line: Vec<u8>,
    /// Where the next character goes.
    at: usize,
    history: Vec<Vec<u8>>,
    /// The line of the history that is shown, and what was typed before.
    shown: Option<usize>,
    kept: Vec<u8>,
    /// An escape sequence that is not complete.
    escape: Vec<u8>,
}

impl Editor {
    /// What stands before the cursor.
    #[must_use]
    pub fn before_cursor(&self) -> &str {
        core::str::from_utf8(&self.line[..self.at]).unwrap_or_default()
    }

    /// Takes a byte; what is to be shown goes to `echo`.
    pub fn key(&mut self, byte: u8, echo: &mut Vec<u8>) -> Typed {
        if !self.escape.is_empty() || byte == 0x1b {
            self.escape.push(byte);
            self.sequence(echo);
            return Typed::Nothing;
        }
        match byte {
            b'\r' | b'\n' => return self.enter(echo),
            b'\t' => return Typed::Complete,
            0x01 => self.move_to(0, echo),
            0x05 => self.move_to(self.line.len(), echo),
            0x02 => self.move_to(self.at.saturating_sub(1), echo),
            0x06 => self.move_to(self.at + 1, echo),
            0x0b => {
                self.line.truncate(self.at);
                echo.extend(b"\x1b[K");
            }
            0x15 => {
                let rest = self.line.split_off(self.at);
                self.replace(rest, 0, echo);
            }
            0x10 => self.older(echo),
            0x0e => self.newer(echo),
            0x08 | 0x7f if self.at > 0 => {
                let mut line = self.line.clone();
                line.remove(self.at - 1);
                let at = self.at - 1;
                self.replace(line, at, echo);
            }
            0x04 if self.at < self.line.len() => {
                let mut line = self.line.clone();
                line.remove(self.at);
                self.replace(line, self.at, echo);
            }
            0x20..=0x7e | 0x80.. if self.line.len() < LONGEST => self.insert(byte, echo),
            _ => {}
        }
        Typed::Nothing
    }

    fn insert(&mut self, byte: u8, echo: &mut Vec<u8>) {
        self.line.insert(self.at, byte);
        self.at += 1;
        echo.extend(&self.line[self.at - 1..]);
        back(self.line.len() - self.at, echo);
    }

    fn enter(&mut self, echo: &mut Vec<u8>) -> Typed {
        echo.extend(b"\r\n");
        let line = core::mem::take(&mut self.line);
        (self.at, self.shown) = (0, None);
        if !line.is_empty() && self.history.last() != Some(&line) {
            self.history.push(line.clone());
            if self.history.len() > HISTORY {
                self.history.remove(0);
            }
        }
        Typed::Line(String::from_utf8_lossy(&line).into_owned())
    }

    /// Shows another line with the cursor at `at`.
    fn replace(&mut self, line: Vec<u8>, at: usize, echo: &mut Vec<u8>) {
        back(self.at, echo);
        echo.extend(b"\x1b[K");
        echo.extend(&line);
        self.line = line;
        self.at = at.min(self.line.len());
        back(self.line.len() - self.at, echo);
    }

    fn move_to(&mut self, at: usize, echo: &mut Vec<u8>) {
        let at = at.min(self.line.len());
        if at < self.at {
            back(self.at - at, echo);
        } else {
            echo.extend(&self.line[self.at..at]);
        }
        self.at = at;
    }

    fn older(&mut self, echo: &mut Vec<u8>) {
        let next = match self.shown {
            None => {
                self.kept.clone_from(&self.line);
                self.history.len().checked_sub(1)
            }
            Some(n) => n.checked_sub(1),
        };
        let Some(n) = next else { return };
        self.shown = Some(n);
        let line = self.history[n].clone();
        let end = line.len();
        self.replace(line, end, echo);
    }

    fn newer(&mut self, echo: &mut Vec<u8>) {
        let Some(n) = self.shown else { return };
        self.shown = Some(n + 1).filter(|n| *n < self.history.len());
        let line = self.shown.map_or_else(|| self.kept.clone(), |n| self.history[n].clone());
        let end = line.len();
        self.replace(line, end, echo);
    }

    /// Cursor keys and their like.
    fn sequence(&mut self, echo: &mut Vec<u8>) {
        let done = match self.escape.as_slice() {
            [0x1b] | [0x1b, b'[' | b'O'] => return,
            [0x1b, b'[', rest @ ..] if rest.len() < 4 && rest.iter().all(u8::is_ascii_digit) => return,
            done => done.to_vec(),
        };
        self.escape.clear();
        match done.as_slice() {
            [_, b'[' | b'O', b'A'] => self.older(echo),
            [_, b'[' | b'O', b'B'] => self.newer(echo),
            [_, b'[' | b'O', b'C'] => self.move_to(self.at + 1, echo),
            [_, b'[' | b'O', b'D'] => self.move_to(self.at.saturating_sub(1), echo),
            [_, b'[' | b'O', b'H'] | [_, b'[', b'1', b'~'] => self.move_to(0, echo),
            [_, b'[' | b'O', b'F'] | [_, b'[', b'4', b'~'] => self.move_to(self.line.len(), echo),
            [_, b'[', b'3', b'~'] if self.at < self.line.len() => {
                let mut line = self.line.clone();
                line.remove(self.at);
                self.replace(line, self.at, echo);
            }
            _ => {}
        }
    }

    /// Goes on with what all `names` have in common; shows them if that is nothing more.
    pub fn complete(&mut self, names: &[String], prompt: &str, echo: &mut Vec<u8>) {
        let Some(first) = names.first() else { return };
        let common = names.iter().fold(first.as_str(), |common, name| {
            let same = common.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
            &common[..same]
        });
        let begun = self.before_cursor().rsplit(char::is_whitespace).next().unwrap_or_default().len();
        let more: Vec<u8> = common.bytes().skip(begun).collect();
        for byte in &more {
            self.insert(*byte, echo);
        }
        if names.len() == 1 {
            self.insert(b' ', echo);
        } else if more.is_empty() {
            echo.extend(b"\r\n");
            for name in names {
                echo.extend(name.as_bytes());
                echo.extend(b"\r\n");
            }
            echo.extend(prompt.as_bytes());
            echo.extend(&self.line);
            back(self.line.len() - self.at, echo);
        }
    }
}

/// Moves the cursor to the left.
fn back(n: usize, echo: &mut Vec<u8>) {
    echo.extend(core::iter::repeat_n(8, n));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(editor: &mut Editor, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for byte in bytes {
            if let Typed::Line(line) = editor.key(*byte, &mut Vec::new()) {
                lines.push(line);
            }
        }
        lines
    }

    #[test]
    fn lines_are_edited() {
        let mut editor = Editor::default();
        assert_eq!(keys(&mut editor, b"inof\x08\x08fo\r"), ["info"]);
        assert_eq!(keys(&mut editor, b"bc\x01a\x05d\x1b[D\x1b[3~\r"), ["abc"]);
        assert_eq!(keys(&mut editor, b"\x1b[A\x1b[A\x1b[Bx\r\x10\x10\r"), ["abcx", "abc"]);
        assert_eq!(keys(&mut editor, b"one two\x15three\x02\x0b\n"), ["thre"]);
        assert_eq!(keys(&mut editor, b"\x1b[999999999A\x1bzq\r"), ["9999Aq"].map(|_| "99999Aq"));
    }

    #[test]
    fn names_are_completed() {
        let mut editor = Editor::default();
        keys(&mut editor, b"info b");
        let names = ["block", "blockstats"].map(str::to_owned);
        editor.complete(&names, "> ", &mut Vec::new());
        assert_eq!(editor.before_cursor(), "info block");
        let mut echo = Vec::new();
        editor.complete(&names, "> ", &mut echo);
        assert_eq!(echo, b"\r\nblock\r\nblockstats\r\n> info block");
        editor.complete(&["block".to_owned()], "> ", &mut Vec::new());
        assert_eq!(editor.before_cursor(), "info block ");
    }
}

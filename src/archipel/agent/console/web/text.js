// SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// A plain terminal: lines as they come, without colours or a moving cursor.
import { takeToken, tell, webSocketAddress } from "./link.js";

const MOST_LINES = 2000;
const KEYS = {
    Enter: "\r", Backspace: "\x7f", Tab: "\t", Escape: "\x1b", Delete: "\x1b[3~",
    ArrowUp: "\x1b[A", ArrowDown: "\x1b[B", ArrowRight: "\x1b[C", ArrowLeft: "\x1b[D", Home: "\x1b[H", End: "\x1b[F",
};
// Escape sequences: of control (CSI), of the operating system (OSC), and the short ones.
const SEQUENCES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])/g;
const terminal = document.getElementById("terminal");
const decoder = new TextDecoder();
const lines = [""];
let column = 0;

function put(character) {
    const last = lines.length - 1;
    lines[last] = lines[last].slice(0, column).padEnd(column) + character + lines[last].slice(column + 1);
    column += 1;
}

function show(bytes) {
    for (const character of decoder.decode(bytes, { stream: true }).replace(SEQUENCES, "")) {
        if (character === "\n") {
            lines.push("");
            column = 0;
        } else if (character === "\r") {
            column = 0;
        } else if (character === "\b") {
            column = Math.max(0, column - 1);
        } else if (character >= " " || character === "\t") {
            put(character);
        }
    }
    lines.splice(0, lines.length - MOST_LINES);
    terminal.textContent = lines.join("\n");
    terminal.scrollTop = terminal.scrollHeight;
}

function translate(event) {
    if (event.ctrlKey && !event.altKey && /^[a-z@[\\\]^_]$/i.test(event.key)) {
        return String.fromCharCode(event.key.toUpperCase().charCodeAt(0) & 31);
    }
    if (event.ctrlKey || event.metaKey) {
        return "";
    }
    return KEYS[event.key] || (event.key.length === 1 ? event.key : "");
}

const token = takeToken();
if (token) {
    const socket = new WebSocket(webSocketAddress("text"), ["binary", `archipel.token.${token}`]);
    const encoder = new TextEncoder();
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => {
        tell("Connected: press Enter to see whether somebody is there.");
        terminal.focus();
    });
    socket.addEventListener("message", (event) => show(new Uint8Array(event.data)));
    socket.addEventListener("close", (event) => {
        tell(event.reason || "The console is closed, or the link was used before or is too old: ask for a new one.");
    });
    terminal.addEventListener("keydown", (event) => {
        const keys = translate(event);
        if (keys && socket.readyState === WebSocket.OPEN) {
            event.preventDefault();
            socket.send(encoder.encode(keys));
        }
    });
    terminal.addEventListener("paste", (event) => {
        event.preventDefault();
        socket.send(encoder.encode(event.clipboardData.getData("text").replaceAll(/\r?\n/g, "\r")));
    });
}

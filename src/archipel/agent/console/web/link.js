// SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// What both pages need: the token of the link, the WebSocket's address, the line that tells what is going on.

export function tell(text) {
    document.getElementById("state").textContent = text;
}

export function takeToken() {
    const token = location.hash.slice(1);
    history.replaceState(null, "", location.pathname);
    if (/^[A-Za-z0-9_-]+$/.test(token)) {
        return token;
    }
    tell("This page opens a console from a link that works once: ask the machine for a new one.");
    return "";
}

export function webSocketAddress(kind) {
    const address = new URL(kind, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    return address.href;
}

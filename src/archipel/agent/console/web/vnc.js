// SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// Opens the screen that the token in the fragment stands for. The fragment is never sent to a server; it leaves the history at once.
import RFB from "./novnc/core/rfb.js";
import { takeToken, tell, webSocketAddress } from "./link.js";

const login = document.getElementById("login");
const keys = document.getElementById("keys");
const token = takeToken();

if (token) {
    const options = { wsProtocols: ["binary", `archipel.token.${token}`] };
    const rfb = new RFB(document.getElementById("screen"), webSocketAddress("vnc"), options);
    rfb.scaleViewport = true;
    rfb.addEventListener("connect", () => {
        tell("Connected.");
        keys.hidden = false;
        rfb.focus();
    });
    rfb.addEventListener("disconnect", (event) => {
        keys.hidden = true;
        login.hidden = true;
        tell(event.detail.clean ? "The console is closed." : "The console is closed, or the link was used before or is too old: ask for a new one.");
    });
    rfb.addEventListener("securityfailure", (event) => tell(`The display refused: ${event.detail.reason || "wrong password"}`));
    rfb.addEventListener("credentialsrequired", () => {
        login.hidden = false;
        document.getElementById("password").focus();
    });
    rfb.addEventListener("desktopname", (event) => {
        document.title = event.detail.name;
    });
    keys.addEventListener("click", () => {
        rfb.sendCtrlAltDel();
        rfb.focus();
    });
    login.addEventListener("submit", (event) => {
        event.preventDefault();
        login.hidden = true;
        rfb.sendCredentials({ password: document.getElementById("password").value });
    });
}

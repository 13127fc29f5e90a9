// Airflow keeps its theme and language in this browser's own store, which the pages share: they follow both.
"use strict";
(() => {
  const follow = () => {
    const kept = localStorage.getItem("theme") || "system";
    const isDark = kept === "dark" || (kept === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
  };
  follow();
  addEventListener("storage", follow);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", follow);

  const language = (localStorage.getItem("i18nextLng") || "").slice(0, 2);
  const cookie = `settlement_airflow_language=${language}`;
  if (["ko", "en"].includes(language) && !document.cookie.split("; ").includes(cookie)) {
    document.cookie = `${cookie}; path=/; max-age=31536000; samesite=lax`;
    if (language !== document.documentElement.lang) location.reload();
  }

  // The frame may not navigate what is around it: it asks the page around it to follow the link.
  addEventListener("click", (event) => {
    const link = event.target.closest("a[data-parent]");
    if (!link || parent === window) return;
    event.preventDefault();
    const asked = parent.document.createElement("a");
    asked.href = link.href;
    parent.document.body.append(asked);
    asked.click();
    asked.remove();
  });

  // A form goes once: a second click of the same button does nothing.
  addEventListener("submit", (event) => {
    const button = event.target.method === "post" && event.target.querySelector("button");
    if (button) setTimeout(() => { button.disabled = true; });
  });
})();

/** Light, dark, or as the system says; remembered by the browser. */

const CHOICES = ["auto", "light", "dark"] as const;
export type Choice = (typeof CHOICES)[number];

const system = matchMedia("(prefers-color-scheme: dark)");

/** `isDark`: what is really shown. Who draws with the colours of the style sheet draws anew when either changes. */
export const theme: { choice: Choice; isDark: boolean } = $state({ choice: remembered(), isDark: false });

system.addEventListener("change", apply);
apply();

export function nextTheme(): void {
  theme.choice = CHOICES[(CHOICES.indexOf(theme.choice) + 1) % CHOICES.length];
  try {
    localStorage.setItem("theme", theme.choice);
  } catch {
    // Some browsers keep nothing for some pages; the choice then lasts as long as the page.
  }
  apply();
}

function apply(): void {
  document.documentElement.dataset.theme = theme.choice;
  theme.isDark = theme.choice === "dark" || (theme.choice === "auto" && system.matches);
}

function remembered(): Choice {
  try {
    return CHOICES.find((choice) => choice === localStorage.getItem("theme")) ?? "auto";
  } catch {
    return "auto";
  }
}

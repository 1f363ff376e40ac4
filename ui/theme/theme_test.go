package theme_test

import (
	"image/color"
	"math"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	fynetheme "fyne.io/fyne/v2/theme"

	"quicprochat/ui/theme"
)

func luminance(c color.Color) float64 {
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	lin := func(v uint8) float64 {
		f := float64(v) / 255
		if f <= 0.04045 {
			return f / 12.92
		}
		return math.Pow((f+0.055)/1.055, 2.4)
	}
	return 0.2126*lin(n.R) + 0.7152*lin(n.G) + 0.0722*lin(n.B)
}

func contrast(a, b color.Color) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// TestContrast holds every pair of text and ground to WCAG AA, 4.5:1.
func TestContrast(t *testing.T) {
	test.NewTempApp(t)
	type pair struct{ text, ground fyne.ThemeColorName }
	pairs := []pair{
		{fynetheme.ColorNameForeground, fynetheme.ColorNameBackground},
		{fynetheme.ColorNameForeground, theme.ColorBubbleTheirs},
		{fynetheme.ColorNameForeground, theme.ColorRowSelected},
		{fynetheme.ColorNameForeground, fynetheme.ColorNameInputBackground},
		{fynetheme.ColorNamePlaceHolder, fynetheme.ColorNameInputBackground},
		{fynetheme.ColorNameForegroundOnPrimary, fynetheme.ColorNamePrimary},
		{fynetheme.ColorNameForegroundOnError, fynetheme.ColorNameError},
		{fynetheme.ColorNameError, fynetheme.ColorNameOverlayBackground},
		{fynetheme.ColorNameSuccess, fynetheme.ColorNameBackground},
		{fynetheme.ColorNameWarning, fynetheme.ColorNameBackground},
		{theme.ColorMuted, theme.ColorSidebar},
		{theme.ColorMuted, theme.ColorRowSelected},
		{theme.ColorMuted, theme.ColorBubbleTheirs},
		{theme.ColorOnMine, theme.ColorBubbleMine},
		{theme.ColorOnMineMuted, theme.ColorBubbleMine},
		{theme.ColorOnMineWarning, theme.ColorBubbleMine},
		{theme.ColorOnBadge, theme.ColorBadge},
		{theme.ColorOnBanner, theme.ColorBanner},
		{theme.ColorOnPill, theme.ColorPill},
	}
	for i := range theme.Hues() {
		pairs = append(pairs, pair{theme.SenderColor(i), theme.ColorBubbleTheirs})
		pairs = append(pairs, pair{theme.ColorOnAvatar, theme.AvatarColor(i)})
	}
	for _, mode := range []theme.Mode{theme.Light, theme.Dark} {
		th := theme.New(mode)
		for _, p := range pairs {
			// The forced mode must win over the variant that the desktop prefers.
			for _, v := range []fyne.ThemeVariant{fynetheme.VariantLight, fynetheme.VariantDark} {
				if got := contrast(th.Color(p.text, v), th.Color(p.ground, v)); got < 4.5 {
					t.Errorf("%s: %s on %s has contrast %.2f, want 4.5 or more", mode, p.text, p.ground, got)
				}
			}
		}
	}
}

func TestSystemModeFollowsTheVariant(t *testing.T) {
	test.NewTempApp(t)
	th := theme.New(theme.System)
	for v, mode := range map[fyne.ThemeVariant]theme.Mode{fynetheme.VariantLight: theme.Light, fynetheme.VariantDark: theme.Dark} {
		want := theme.New(mode).Color(theme.ColorCanvas, v)
		if got := th.Color(theme.ColorCanvas, v); got != want {
			t.Errorf("variant %v: got %v, want %v", v, got, want)
		}
	}
}

func TestIconFollowsTheTheme(t *testing.T) {
	app := test.NewTempApp(t)
	icon := theme.Icon(theme.IconCheck)
	app.Settings().SetTheme(theme.New(theme.Light))
	light := icon.Name()
	app.Settings().SetTheme(theme.New(theme.Dark))
	if dark := icon.Name(); dark == light {
		t.Errorf("the icon is cached as %q in light and in dark", dark)
	}
}

func TestParseMode(t *testing.T) {
	for in, want := range map[string]theme.Mode{"light": theme.Light, "dark": theme.Dark, "": theme.System, "blue": theme.System} {
		if got := theme.ParseMode(in); got != want {
			t.Errorf("ParseMode(%q) = %q, want %q", in, got, want)
		}
	}
}

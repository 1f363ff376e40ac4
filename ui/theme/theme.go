// Package theme is the look of the desktop app: its palette in light and dark,
// its sizes, its icons, and the names under which widgets ask for them.
//
// Widgets never hold a colour; they hold a name of this package and ask the
// current theme on every refresh, so that switching between light and dark is a
// refresh and nothing more. The caller applies [New] to the application's
// settings before the first window is shown.
package theme

import (
	"image/color"

	"fyne.io/fyne/v2"
	fynetheme "fyne.io/fyne/v2/theme"
)

// Mode says which palette is used.
type Mode string

const (
	// System follows the desktop's own preference.
	System Mode = "system"
	// Light is the light palette whatever the desktop prefers.
	Light Mode = "light"
	// Dark is the dark palette whatever the desktop prefers.
	Dark Mode = "dark"
)

// ParseMode reads a mode; anything unknown is System.
func ParseMode(s string) Mode {
	switch m := Mode(s); m {
	case Light, Dark:
		return m
	default:
		return System
	}
}

// Colours that the toolkit has no name for.
const (
	ColorSidebar        fyne.ThemeColorName = "qpcSidebar"        // behind the conversation list
	ColorCanvas         fyne.ThemeColorName = "qpcCanvas"         // behind the messages
	ColorMuted          fyne.ThemeColorName = "qpcMuted"          // secondary text
	ColorRowHover       fyne.ThemeColorName = "qpcRowHover"       // a row under the pointer
	ColorRowSelected    fyne.ThemeColorName = "qpcRowSelected"    // the open conversation's row
	ColorBubbleMine     fyne.ThemeColorName = "qpcBubbleMine"     // one's own messages
	ColorBubbleTheirs   fyne.ThemeColorName = "qpcBubbleTheirs"   // everybody else's
	ColorOnMine         fyne.ThemeColorName = "qpcOnMine"         // text in one's own bubble
	ColorOnMineMuted    fyne.ThemeColorName = "qpcOnMineMuted"    // time and state in it
	ColorOnMineWarning  fyne.ThemeColorName = "qpcOnMineWarning"  // the failed mark in it
	ColorSelectMine     fyne.ThemeColorName = "qpcSelectMine"     // selected text in one's own bubble
	ColorSelectTheirs   fyne.ThemeColorName = "qpcSelectTheirs"   // selected text in the others'
	ColorBadge          fyne.ThemeColorName = "qpcBadge"          // unread count
	ColorOnBadge        fyne.ThemeColorName = "qpcOnBadge"        // the number on it
	ColorBanner         fyne.ThemeColorName = "qpcBanner"         // the connection banner
	ColorOnBanner       fyne.ThemeColorName = "qpcOnBanner"       // text on it
	ColorPill           fyne.ThemeColorName = "qpcPill"           // behind day separators
	ColorOnPill         fyne.ThemeColorName = "qpcOnPill"         // text on them
	ColorOnAvatar       fyne.ThemeColorName = "qpcOnAvatar"       // initials
	ColorScrim          fyne.ThemeColorName = "qpcScrim"          // dims what is behind a sheet
	ColorQRDark         fyne.ThemeColorName = "qpcQRDark"         // QR modules: the same in both palettes
	ColorQRLight        fyne.ThemeColorName = "qpcQRLight"        // and their ground
	ColorFieldHighlight fyne.ThemeColorName = "qpcFieldHighlight" // behind chips
)

// Sizes that the toolkit has no name for.
const (
	SizeTitle        fyne.ThemeSizeName = "qpcTitle"        // a conversation's or sheet's title
	SizeBubbleRadius fyne.ThemeSizeName = "qpcBubbleRadius" // corner of a bubble
	SizeSmall        fyne.ThemeSizeName = "qpcSmall"        // previews, hints
)

type appTheme struct{ mode Mode }

// New returns the theme in that mode.
func New(m Mode) fyne.Theme { return appTheme{m} }

func (t appTheme) Color(n fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	switch t.mode {
	case Light:
		v = fynetheme.VariantLight
	case Dark:
		v = fynetheme.VariantDark
	}
	palette := darkPalette
	if v == fynetheme.VariantLight {
		palette = lightPalette
	}
	if c, ok := palette[n]; ok {
		return c
	}
	if c, ok := senderColor(n, v); ok {
		return c
	}
	return fynetheme.DefaultTheme().Color(n, v)
}

func (appTheme) Font(s fyne.TextStyle) fyne.Resource { return fynetheme.DefaultTheme().Font(s) }

func (appTheme) Icon(n fyne.ThemeIconName) fyne.Resource { return fynetheme.DefaultTheme().Icon(n) }

func (appTheme) Size(n fyne.ThemeSizeName) float32 {
	if s, ok := sizes[n]; ok {
		return s
	}
	return fynetheme.DefaultTheme().Size(n)
}

var sizes = map[fyne.ThemeSizeName]float32{
	fynetheme.SizeNameText:            14,
	fynetheme.SizeNameCaptionText:     11,
	fynetheme.SizeNameSubHeadingText:  18,
	fynetheme.SizeNameHeadingText:     26,
	fynetheme.SizeNameInnerPadding:    9,
	fynetheme.SizeNameInputRadius:     10,
	fynetheme.SizeNameSelectionRadius: 4,
	fynetheme.SizeNameScrollBar:       10,
	fynetheme.SizeNameScrollBarRadius: 5,
	SizeTitle:                         16,
	SizeBubbleRadius:                  16,
	SizeSmall:                         12.5,
}

// Current looks a colour up in the theme that applies to w, or in the
// application's where w is nil.
func Current(n fyne.ThemeColorName, w fyne.Widget) color.Color {
	th := fynetheme.Current()
	if w != nil {
		th = fynetheme.CurrentForWidget(w)
	}
	return th.Color(n, fyne.CurrentApp().Settings().ThemeVariant())
}

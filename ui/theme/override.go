package theme

import (
	"image/color"

	"fyne.io/fyne/v2"
	fynetheme "fyne.io/fyne/v2/theme"
)

// Overlay is the application's current theme with some names pointing
// elsewhere: what a part of a window is themed by.
type Overlay struct {
	Colors map[fyne.ThemeColorName]fyne.ThemeColorName
	Sizes  map[fyne.ThemeSizeName]float32
}

// Color implements fyne.Theme.
func (o *Overlay) Color(n fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	if m, ok := o.Colors[n]; ok {
		if m == Transparent {
			return color.Transparent
		}
		n = m
	}
	return base().Color(n, v)
}

// Font implements fyne.Theme.
func (*Overlay) Font(s fyne.TextStyle) fyne.Resource { return base().Font(s) }

// Icon implements fyne.Theme.
func (*Overlay) Icon(n fyne.ThemeIconName) fyne.Resource { return base().Icon(n) }

// Size implements fyne.Theme.
func (o *Overlay) Size(n fyne.ThemeSizeName) float32 {
	if s, ok := o.Sizes[n]; ok {
		return s
	}
	return base().Size(n)
}

// Transparent, as the target of an Overlay's colour, hides what it paints.
const Transparent fyne.ThemeColorName = "qpcTransparent"

// base is the application's theme, never an override that is being rendered.
func base() fyne.Theme { return fyne.CurrentApp().Settings().Theme() }

// BubbleText themes the text inside a bubble: its colour, the colour of the
// selection, and no padding, which the bubble adds itself.
func BubbleText(mine bool) *Overlay {
	o := &Overlay{
		Colors: map[fyne.ThemeColorName]fyne.ThemeColorName{fynetheme.ColorNameSelection: ColorSelectTheirs},
		Sizes:  map[fyne.ThemeSizeName]float32{fynetheme.SizeNameInnerPadding: 0, fynetheme.SizeNameLineSpacing: 2},
	}
	if mine {
		o.Colors[fynetheme.ColorNameForeground] = ColorOnMine
		o.Colors[fynetheme.ColorNameSelection] = ColorSelectMine
	}
	return o
}

// Plain themes an entry that draws no box of its own.
var Plain = &Overlay{
	Colors: map[fyne.ThemeColorName]fyne.ThemeColorName{
		fynetheme.ColorNameInputBackground: Transparent,
		fynetheme.ColorNameInputBorder:     Transparent,
	},
	Sizes: map[fyne.ThemeSizeName]float32{fynetheme.SizeNameInputBorder: 0},
}

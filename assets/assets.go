// Package assets embeds what the programs draw with: the application's icon and
// the small line icons of the user interface.
//
// Line icons are 24×24 SVGs drawn in #000000 only; package ui/theme puts the
// colour in. A caller owes nothing; a missing icon is a mistake of the build
// and panics.
package assets

import (
	"embed"
	"fmt"
)

// AppIcon is the application's icon, 512×512, as an SVG.
//
//go:embed icon.svg
var AppIcon []byte

// AppIconPNG is the same picture, 256×256, for window managers and the .desktop file.
//
//go:embed icon.png
var AppIconPNG []byte

//go:embed icons/*.svg
var icons embed.FS

// Icon returns the line icon of that name, without the extension.
func Icon(name string) []byte {
	b, err := icons.ReadFile("icons/" + name + ".svg")
	if err != nil {
		panic(fmt.Sprintf("assets: %v", err))
	}
	return b
}

package theme

import (
	"bytes"
	"fmt"
	"image/color"

	"fyne.io/fyne/v2"
	fynetheme "fyne.io/fyne/v2/theme"

	"quicprochat/assets"
)

// IconName is one of the line icons in package assets.
type IconName string

// The line icons.
const (
	IconBack     IconName = "back"
	IconBlock    IconName = "block"
	IconChat     IconName = "chat"
	IconCheck    IconName = "check"
	IconClock    IconName = "clock"
	IconClose    IconName = "close"
	IconCompose  IconName = "compose"
	IconComputer IconName = "computer"
	IconCopy     IconName = "copy"
	IconDown     IconName = "down"
	IconFlag     IconName = "flag"
	IconGroup    IconName = "group"
	IconKey      IconName = "key"
	IconLeave    IconName = "leave"
	IconLink     IconName = "link"
	IconLock     IconName = "lock"
	IconMenu     IconName = "menu"
	IconMore     IconName = "more"
	IconMute     IconName = "mute"
	IconNote     IconName = "note"
	IconPerson   IconName = "person"
	IconPin      IconName = "pin"
	IconPlus     IconName = "plus"
	IconSearch   IconName = "search"
	IconSend     IconName = "send"
	IconShield   IconName = "shield"
	IconTrash    IconName = "trash"
	IconUnmute   IconName = "unmute"
	IconWarning  IconName = "warning"
)

// AppIcon is the application's icon.
func AppIcon() fyne.Resource { return fyne.NewStaticResource("quicprochat.png", assets.AppIconPNG) }

// AppMark is the same picture as an SVG, for use inside windows.
func AppMark() fyne.Resource { return fyne.NewStaticResource("quicprochat.svg", assets.AppIcon) }

// Icon returns a line icon in the theme's foreground colour.
func Icon(n IconName) fyne.Resource { return ColoredIcon(n, fynetheme.ColorNameForeground) }

// ColoredIcon returns a line icon in a named colour. The colour is looked up
// whenever the icon is drawn anew, so it follows the theme.
//
// The toolkit's own themed resources recolour fills only; these are strokes.
func ColoredIcon(n IconName, c fyne.ThemeColorName) fyne.Resource { return lineIcon{n, c} }

type lineIcon struct {
	name  IconName
	color fyne.ThemeColorName
}

// Name is the toolkit's cache key, so the colour is part of it.
func (i lineIcon) Name() string { return fmt.Sprintf("%s-%s.svg", i.name, i.hex()[1:]) }

func (i lineIcon) Content() []byte {
	return bytes.ReplaceAll(assets.Icon(string(i.name)), []byte("#000000"), []byte(i.hex()))
}

func (i lineIcon) hex() string {
	c := color.NRGBAModel.Convert(Current(i.color, nil)).(color.NRGBA)
	return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B)
}

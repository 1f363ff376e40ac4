package theme

import (
	"fmt"
	"image/color"
	"strings"

	"fyne.io/fyne/v2"
	fynetheme "fyne.io/fyne/v2/theme"
)

func rgb(hex uint32) color.NRGBA {
	return color.NRGBA{R: uint8(hex >> 16), G: uint8(hex >> 8), B: uint8(hex), A: 0xff}
}

func rgba(hex uint32, a uint8) color.NRGBA {
	c := rgb(hex)
	c.A = a
	return c
}

var lightPalette = map[fyne.ThemeColorName]color.Color{
	fynetheme.ColorNameBackground:          rgb(0xffffff),
	fynetheme.ColorNameForeground:          rgb(0x1b1d29),
	fynetheme.ColorNamePrimary:             rgb(0x4652c8),
	fynetheme.ColorNameHyperlink:           rgb(0x4652c8),
	fynetheme.ColorNameForegroundOnPrimary: rgb(0xffffff),
	fynetheme.ColorNameFocus:               rgba(0x4652c8, 0x30),
	fynetheme.ColorNameSelection:           rgba(0x4652c8, 0x40),
	fynetheme.ColorNameButton:              rgb(0xeceef4),
	fynetheme.ColorNameDisabledButton:      rgb(0xf0f1f5),
	fynetheme.ColorNameDisabled:            rgb(0x9a9eae),
	fynetheme.ColorNamePlaceHolder:         rgb(0x676c7f),
	fynetheme.ColorNameError:               rgb(0xc62f3c),
	fynetheme.ColorNameForegroundOnError:   rgb(0xffffff),
	fynetheme.ColorNameSuccess:             rgb(0x1f7a4d),
	fynetheme.ColorNameWarning:             rgb(0x9a5b00),
	fynetheme.ColorNameHover:               rgba(0x1b1d29, 0x0c),
	fynetheme.ColorNamePressed:             rgba(0x1b1d29, 0x1a),
	fynetheme.ColorNameInputBackground:     rgb(0xf3f4f8),
	fynetheme.ColorNameInputBorder:         rgb(0xe6e8f0),
	fynetheme.ColorNameMenuBackground:      rgb(0xffffff),
	fynetheme.ColorNameOverlayBackground:   rgb(0xffffff),
	fynetheme.ColorNameHeaderBackground:    rgb(0xffffff),
	fynetheme.ColorNameSeparator:           rgb(0xe4e6ed),
	fynetheme.ColorNameShadow:              rgba(0x1b1d29, 0x30),
	fynetheme.ColorNameScrollBar:           rgba(0x1b1d29, 0x48),
	fynetheme.ColorNameScrollBarBackground: color.Transparent,
	ColorSidebar:                           rgb(0xffffff),
	ColorCanvas:                            rgb(0xf1f2f7),
	ColorMuted:                             rgb(0x5f6476),
	ColorRowHover:                          rgb(0xf4f5f9),
	ColorRowSelected:                       rgb(0xe6e8f8),
	ColorBubbleMine:                        rgb(0x4652c8),
	ColorBubbleTheirs:                      rgb(0xffffff),
	ColorOnMine:                            rgb(0xffffff),
	ColorOnMineMuted:                       rgb(0xdde0fa),
	ColorOnMineWarning:                     rgb(0xffdcbf),
	ColorSelectMine:                        rgba(0xffffff, 0x50),
	ColorSelectTheirs:                      rgba(0x4652c8, 0x38),
	ColorBadge:                             rgb(0x4652c8),
	ColorOnBadge:                           rgb(0xffffff),
	ColorBanner:                            rgb(0xfdf0d9),
	ColorOnBanner:                          rgb(0x6f4300),
	ColorPill:                              rgb(0xe3e5ee),
	ColorOnPill:                            rgb(0x565b6e),
	ColorOnAvatar:                          rgb(0xffffff),
	ColorScrim:                             rgba(0x10121a, 0x66),
	ColorQRDark:                            rgb(0x14161f),
	ColorQRLight:                           rgb(0xffffff),
	ColorFieldHighlight:                    rgb(0xe6e8f8),
}

var darkPalette = map[fyne.ThemeColorName]color.Color{
	fynetheme.ColorNameBackground:          rgb(0x181a21),
	fynetheme.ColorNameForeground:          rgb(0xeceef5),
	fynetheme.ColorNamePrimary:             rgb(0x7f8bf2),
	fynetheme.ColorNameHyperlink:           rgb(0x9aa4f8),
	fynetheme.ColorNameForegroundOnPrimary: rgb(0x10121a),
	fynetheme.ColorNameFocus:               rgba(0x7f8bf2, 0x40),
	fynetheme.ColorNameSelection:           rgba(0x7f8bf2, 0x55),
	fynetheme.ColorNameButton:              rgb(0x2a2d38),
	fynetheme.ColorNameDisabledButton:      rgb(0x23262f),
	fynetheme.ColorNameDisabled:            rgb(0x6a6f80),
	fynetheme.ColorNamePlaceHolder:         rgb(0x9298aa),
	fynetheme.ColorNameError:               rgb(0xff7a84),
	fynetheme.ColorNameForegroundOnError:   rgb(0x22090b),
	fynetheme.ColorNameSuccess:             rgb(0x5fcf95),
	fynetheme.ColorNameWarning:             rgb(0xf0b254),
	fynetheme.ColorNameHover:               rgba(0xffffff, 0x10),
	fynetheme.ColorNamePressed:             rgba(0xffffff, 0x22),
	fynetheme.ColorNameInputBackground:     rgb(0x22252e),
	fynetheme.ColorNameInputBorder:         rgb(0x343845),
	fynetheme.ColorNameMenuBackground:      rgb(0x252833),
	fynetheme.ColorNameOverlayBackground:   rgb(0x1e2029),
	fynetheme.ColorNameHeaderBackground:    rgb(0x181a21),
	fynetheme.ColorNameSeparator:           rgb(0x2a2d38),
	fynetheme.ColorNameShadow:              rgba(0x000000, 0x70),
	fynetheme.ColorNameScrollBar:           rgba(0xffffff, 0x48),
	fynetheme.ColorNameScrollBarBackground: color.Transparent,
	ColorSidebar:                           rgb(0x181a21),
	ColorCanvas:                            rgb(0x101218),
	ColorMuted:                             rgb(0x9ba0b2),
	ColorRowHover:                          rgb(0x20232c),
	ColorRowSelected:                       rgb(0x2b3050),
	ColorBubbleMine:                        rgb(0x424cb0),
	ColorBubbleTheirs:                      rgb(0x242731),
	ColorOnMine:                            rgb(0xf6f7ff),
	ColorOnMineMuted:                       rgb(0xcfd3f7),
	ColorOnMineWarning:                     rgb(0xffc48f),
	ColorSelectMine:                        rgba(0xffffff, 0x48),
	ColorSelectTheirs:                      rgba(0x7f8bf2, 0x60),
	ColorBadge:                             rgb(0x7f8bf2),
	ColorOnBadge:                           rgb(0x10121a),
	ColorBanner:                            rgb(0x3a2f18),
	ColorOnBanner:                          rgb(0xf6d79c),
	ColorPill:                              rgb(0x22252e),
	ColorOnPill:                            rgb(0xa9aec0),
	ColorOnAvatar:                          rgb(0xffffff),
	ColorScrim:                             rgba(0x000000, 0x99),
	ColorQRDark:                            rgb(0x14161f),
	ColorQRLight:                           rgb(0xffffff),
	ColorFieldHighlight:                    rgb(0x2b3050),
}

// avatarColors carry white initials; senderLight and senderDark are the same
// hues as text on a white or a dark bubble.
var (
	avatarColors = []uint32{0x5b67d6, 0xb3478f, 0xc2503f, 0x9a6a1d, 0x4c7f36, 0x1f8079, 0x2f78b7, 0x7d55c7, 0x6b7280, 0xb0506a}
	senderLight  = []uint32{0x4652c8, 0xa33a80, 0xb2402f, 0x855a12, 0x3d6e29, 0x17706a, 0x2168a6, 0x6d45b8, 0x596070, 0xa0405a}
	senderDark   = []uint32{0x9aa4f8, 0xe58ac6, 0xf09484, 0xd9ad62, 0x98c983, 0x67c9c0, 0x83bdec, 0xbda0f0, 0xb0b6c4, 0xe893aa}
)

// Hues is how many colours accounts are told apart by.
func Hues() int { return len(avatarColors) }

// AvatarColor is the name of the colour behind the initials for a hue; any
// integer will do.
func AvatarColor(hue int) fyne.ThemeColorName { return hueName("qpcAvatar", hue) }

// SenderColor is the name of the colour of a sender's name for a hue.
func SenderColor(hue int) fyne.ThemeColorName { return hueName("qpcSender", hue) }

func hueName(prefix string, hue int) fyne.ThemeColorName {
	return fyne.ThemeColorName(fmt.Sprintf("%s%d", prefix, uint(hue)%uint(len(avatarColors))))
}

func senderColor(n fyne.ThemeColorName, v fyne.ThemeVariant) (color.Color, bool) {
	var hue int
	if s, ok := strings.CutPrefix(string(n), "qpcAvatar"); ok {
		if _, err := fmt.Sscan(s, &hue); err == nil && hue >= 0 && hue < len(avatarColors) {
			return rgb(avatarColors[hue]), true
		}
	}
	if s, ok := strings.CutPrefix(string(n), "qpcSender"); ok {
		if _, err := fmt.Sscan(s, &hue); err == nil && hue >= 0 && hue < len(senderLight) {
			if v == fynetheme.VariantLight {
				return rgb(senderLight[hue]), true
			}
			return rgb(senderDark[hue]), true
		}
	}
	return nil, false
}

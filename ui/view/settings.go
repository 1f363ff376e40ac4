package view

import (
	"slices"

	"fyne.io/fyne/v2"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"quicprochat/ui/controller"
	"quicprochat/ui/theme"
	"quicprochat/ui/widgets"
)

func (v *mainView) settings() {
	var sheet *widgets.Sheet
	entry := func(text string, icon theme.IconName, open func()) fyne.CanvasObject {
		return settingsEntry(text, icon, func() { sheet.Close(); open() })
	}
	entries := widgets.Column(2,
		entry("Change password", theme.IconKey, v.changePassword),
		entry("Recovery code", theme.IconNote, v.recoveryCode),
		entry("Blocked people", theme.IconBlock, v.blocking))
	if v.c.Role().Operates() {
		entries.Add(entry("Reports", theme.IconShield, v.reports))
	}
	entries.Add(entry("Delete account", theme.IconTrash, v.deleteAccount))
	body := widgets.Column(14,
		v.whoAmI(), widgets.NewRule(),
		widgets.Column(10, widgets.NewLine("Appearance", fynetheme.SizeNameText).Bold(), v.appearance()), widgets.NewRule(),
		widgets.Column(6, widgets.NewLine("Account", fynetheme.SizeNameText).Bold(), entries), widgets.NewRule(),
		widgets.NewParagraph("quicprochat "+v.w.app.Version+" — messages are encrypted between the devices of their readers; the server stores sealed bytes only."))
	done := widgets.NewButton("Done", func() { sheet.Close() })
	sheet = widgets.NewSheet(v.w.win.Canvas(), "Settings", sheetWidth, body, done)
	sheet.Open(nil)
}

// settingsEntry leads from the settings to a sheet of its own.
func settingsEntry(text string, icon theme.IconName, open func()) *widgets.Button {
	b := quiet(text, open)
	b.SetIcon(theme.ColoredIcon(icon, theme.ColorMuted))
	b.Alignment = widget.ButtonAlignLeading
	return b
}

func (v *mainView) whoAmI() fyne.CanvasObject {
	me := v.c.Me()
	avatar := widgets.NewAvatar(64)
	avatar.Set(me.Name, controller.Hue(me.AccountID), false)
	return widgets.StretchRow(18, 1, avatar, widgets.Column(3, widgets.NewLine(me.Name, theme.SizeTitle).Bold().Truncated(),
		widgets.NewLine("on "+me.Server, theme.SizeSmall).Muted().Truncated(),
		widgets.NewLine("This device: "+me.DeviceName, theme.SizeSmall).Muted().Truncated()))
}

func (v *mainView) appearance() fyne.CanvasObject {
	modes := []theme.Mode{theme.System, theme.Light, theme.Dark}
	choice := widgets.NewChoice(slices.Index(modes, theme.ParseMode(v.w.app.Preferences.Theme)), "Like the system", "Light", "Dark")
	choice.OnChosen = func(i int) { v.w.app.SetTheme(string(modes[i])) }
	return choice
}

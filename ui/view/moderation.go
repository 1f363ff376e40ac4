package view

import (
	"fmt"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynetheme "fyne.io/fyne/v2/theme"

	"quicprochat/ui/controller"
	"quicprochat/ui/theme"
	"quicprochat/ui/widgets"
)

const (
	reportsWidth  = 580
	reportsHeight = 400
)

// reports lists what people have reported, for those whose role allows it.
func (v *mainView) reports() {
	c := v.c.Reports()
	choice := widgets.NewChoice(0, "Open", "Resolved")
	choice.OnChosen = func(i int) { c.ShowResolved(i == 1) }
	note, problem := widgets.NewParagraph(""), widgets.NewParagraph("")
	problem.SetColor(fynetheme.ColorNameError)
	list := widgets.Column(12)
	scroll := container.NewVScroll(list)
	var sheet *widgets.Sheet
	banned := widgets.NewButton("Banned people", func() { sheet.Close(); v.bannedPeople() })
	done := primary("Done", func() { sheet.Close() })
	sheet = widgets.NewSheet(v.w.win.Canvas(), "Reports", reportsWidth, widgets.Column(12, choice, note, problem, scroll), banned, done)
	fill := func() {
		list.RemoveAll()
		for _, r := range c.Items() {
			list.Add(v.reportCard(c, r))
		}
		if c.HasMore() {
			list.Add(quiet("Show more", c.More))
		}
		note.SetText(reportsNote(c))
		note.Hidden = note.Text() == ""
		problem.SetText(c.Problem())
		problem.Hidden = c.Problem() == ""
		setVisible(scroll, len(c.Items()) > 0)
		list.Resize(fyne.NewSize(reportsWidth-56, list.Size().Height)) // wrapped text needs the width to know its height
		scroll.SetMinSize(fyne.NewSize(100, min(list.MinSize().Height, reportsHeight)))
		scroll.Refresh()
		sheet.Relayout()
	}
	c.OnList, c.OnChange = fill, fill
	fill()
	sheet.Open(nil)
}

func reportsNote(c *controller.Reports) string {
	switch {
	case c.Problem() != "":
		return ""
	case !c.Loaded():
		return "One moment…"
	case len(c.Items()) > 0:
		return ""
	case c.Resolved():
		return "No report has been resolved."
	default:
		return "There is nothing to look at."
	}
}

// reportCard is one report with what can be done about it.
func (v *mainView) reportCard(c *controller.Reports, r controller.ReportItem) fyne.CanvasObject {
	name := r.Name
	if name == "" {
		name = "Deleted account"
	}
	avatar := widgets.NewAvatar(32)
	avatar.Set(name, controller.Hue(r.Sender), false)
	sent := "sent " + r.Sent
	if r.Banned {
		sent = "banned · " + sent
	}
	who := widgets.Column(1, widgets.NewLine(name, fynetheme.SizeNameText).Bold().Truncated(), widgets.NewLine(sent, fynetheme.SizeNameCaptionText).Muted().Truncated())
	kind := widgets.NewLine(r.Category+" · "+r.Day, theme.SizeSmall).Muted()
	card := widgets.Column(8, widgets.StretchRow(10, 1, avatar, who, kind), quote("", r.Text))
	if r.Note != "" {
		card.Add(widgets.NewParagraph("Note: " + r.Note))
	}
	if r.Warning != "" {
		warning := widgets.NewParagraph(r.Warning)
		warning.SetColor(fynetheme.ColorNameWarning)
		card.Add(warning)
	}
	card.Add(v.reportActions(c, r))
	box := widgets.NewTappable(widgets.Inset(12, 14, card), nil)
	box.Stroke, box.HoverFill, box.Radius = fynetheme.ColorNameSeparator, theme.Transparent, 14
	return box
}

func (v *mainView) reportActions(c *controller.Reports, r controller.ReportItem) fyne.CanvasObject {
	ban := quiet("Ban "+r.Name, func() { v.ban(c.Ban(r), c.Reload) })
	if r.Banned {
		ban = quiet("Unban "+r.Name, func() { c.Unban(r.Sender) })
	}
	buttons := []*widgets.Button{ban}
	if r.Outcome == "" {
		buttons = append(buttons,
			quiet("Nothing wrong", func() { c.Dismiss(r.Number) }),
			quiet("Dealt with", func() { c.Act(r.Number) }))
	} else {
		buttons = append(buttons, quiet("Open again", func() { c.Reopen(r.Number) }))
	}
	row := widgets.Row(4)
	for _, b := range buttons {
		setEnabled(b, !c.Busy())
		row.Add(b)
	}
	ban.Hidden = r.Name == ""
	if r.Outcome == "" {
		return row
	}
	return widgets.StretchRow(8, 0, widgets.NewLine(r.Outcome, theme.SizeSmall).Muted().Truncated(), row)
}

// ban keeps somebody out of the server; then is called once that is done.
func (v *mainView) ban(c *controller.Ban, then func()) {
	title, note := "Ban somebody", "They are logged out at once and cannot come back before the ban ends. What they have sent stays."
	name := widgets.NewField("Name", widgets.NewEntry("mallory"), "")
	if c.Known() {
		title = fmt.Sprintf("Ban %s?", c.Name())
		name.Hide()
	}
	period := widgets.NewChoice(1, controller.BanPeriods()...)
	reason := widgets.NewField("Reason", widgets.NewEntry(""), "For other moderators only. You may leave this empty.")
	submit := func() { c.Submit(name.Entry.Text, period.Chosen(), reason.Entry.Text) }
	d := newDialog(v.w, title, &c.Form, danger("Ban", submit), widgets.NewParagraph(note), name,
		widgets.Column(8, widgets.NewLine("For how long?", theme.SizeSmall).Bold(), period), reason)
	d.held = true
	fields, focus := []*widgets.Field{name, reason}, name.Entry
	if c.Known() {
		fields, focus = fields[1:], reason.Entry
	}
	d.fields(v.w, c.Edited, submit, fields...)
	c.OnChange = func() {
		name.SetProblem(c.NameProblem())
		reason.SetProblem(c.ReasonProblem())
		d.update()
	}
	c.OnDone = func() { d.sheet.Close(); then() }
	d.sheet.Open(focus)
}

// bannedPeople lists who is kept out.
func (v *mainView) bannedPeople() {
	c := v.c.BannedPeople()
	note := widgets.NewParagraph("")
	list := container.NewVBox()
	scroll := container.NewVScroll(list)
	var sheet *widgets.Sheet
	ban := widgets.NewButton("Ban somebody", func() { sheet.Close(); v.ban(v.c.Ban(), v.bannedPeople) })
	done := primary("Done", func() { sheet.Close() })
	sheet = widgets.NewSheet(v.w.win.Canvas(), "Banned people", reportsWidth, widgets.Column(12, note, scroll), ban, done)
	fill := func() {
		list.RemoveAll()
		for _, p := range c.Items() {
			list.Add(bannedRow(c, p))
		}
		note.SetColor(theme.ColorMuted)
		switch {
		case c.Problem() != "":
			note.SetText(c.Problem())
			note.SetColor(fynetheme.ColorNameError)
		case !c.Loaded():
			note.SetText("One moment…")
		case len(c.Items()) == 0:
			note.SetText("Nobody is banned.")
		default:
			note.SetText("")
		}
		note.Hidden = note.Text() == ""
		setVisible(scroll, len(c.Items()) > 0)
		scroll.SetMinSize(fyne.NewSize(100, min(list.MinSize().Height, reportsHeight)))
		scroll.Refresh()
		sheet.Relayout()
	}
	c.OnList, c.OnChange = fill, fill
	fill()
	sheet.Open(nil)
}

func bannedRow(c *controller.BannedPeople, p controller.BannedItem) fyne.CanvasObject {
	unban := quiet("Unban", func() { c.Unban(p.Account) })
	setEnabled(unban, !c.Busy())
	avatar := widgets.NewAvatar(36)
	avatar.Set(p.Name, controller.Hue(p.Account), false)
	about := p.Until
	if p.Reason != "" {
		about += " · " + p.Reason
	}
	who := widgets.Column(2, widgets.NewLine(p.Name, fynetheme.SizeNameText).Truncated(), widgets.NewLine(about, theme.SizeSmall).Muted().Truncated())
	return widgets.Inset(7, 10, widgets.StretchRow(12, 1, avatar, who, unban))
}

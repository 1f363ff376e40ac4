package view

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"quicprochat/ui/controller"
	"quicprochat/ui/theme"
	"quicprochat/ui/widgets"
)

// messageMenu is what can be done with a message of somebody else.
func (v *conversationView) messageMenu(row controller.Row, at fyne.Position) {
	widget.ShowPopUpMenuAtPosition(fyne.NewMenu("",
		item("Copy", theme.IconCopy, func() { fyne.CurrentApp().Clipboard().SetContent(row.Text) }),
		item("Report message", theme.IconFlag, func() { v.report(row) })), v.main.w.win.Canvas(), at)
}

// report shows a message to the moderators of the server.
func (v *conversationView) report(row controller.Row) {
	c := v.c.Report(row)
	category := widgets.NewChoice(0, controller.Categories()...)
	note := widgets.NewField("Note", widgets.NewEntry("What should the moderators know?"), "You may leave this empty.")
	submit := func() { c.Submit(category.Chosen(), note.Entry.Text) }
	d := newDialog(v.main.w, "Report message", &c.Form, danger("Report", submit),
		quote(row.Sender, row.Text), widgets.Column(8, widgets.NewLine("What is wrong with it?", theme.SizeSmall).Bold(), category),
		note, widgets.NewParagraph(c.Disclosure()))
	d.held = true
	d.fields(v.main.w, c.Edited, submit, note)
	c.OnChange = func() { note.SetProblem(c.NoteProblem()); d.update() }
	c.OnDone = func() {
		d.sheet.Close()
		v.main.w.say("Thank you", "The moderators of "+v.main.c.Me().Server+" can see the message now.")
	}
	d.sheet.Open(note.Entry)
}

// quoteLimit is how many characters of a message a sheet shows.
const quoteLimit = 400

// quote is a message as a sheet shows it.
func quote(sender, text string) fyne.CanvasObject {
	if runes := []rune(text); len(runes) > quoteLimit {
		text = string(runes[:quoteLimit]) + "…"
	}
	said := widgets.NewParagraph(text)
	said.SetColor(fynetheme.ColorNameForeground)
	column := widgets.Column(3, said)
	if sender != "" {
		column = widgets.Column(3, widgets.NewLine(sender, theme.SizeSmall).Bold().Truncated(), said)
	}
	box := widgets.NewTappable(widgets.Inset(10, 14, column), nil)
	box.Fill, box.HoverFill = fynetheme.ColorNameInputBackground, fynetheme.ColorNameInputBackground
	return box
}

// shorten makes one short line of a text.
func shorten(s string) string {
	const most = 42
	runes := []rune(strings.Join(strings.Fields(s), " "))
	if len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return string(runes)
}

// chooseReport asks which of the newest messages is to be reported, for whoever
// has no pointer to show it with.
func (v *conversationView) chooseReport() {
	list := container.NewVBox()
	var sheet *widgets.Sheet
	for _, row := range v.c.Reportable() {
		b := quiet(shorten(row.Sender+": "+row.Text), func() { sheet.Close(); v.report(row) })
		b.Alignment = widget.ButtonAlignLeading
		list.Add(b)
	}
	text := "Which message do you want to report?"
	if len(list.Objects) == 0 {
		text = "There is no message of somebody else here."
	}
	scroll := container.NewVScroll(list)
	scroll.SetMinSize(fyne.NewSize(100, min(list.MinSize().Height, 320)))
	cancel := widgets.NewButton("Cancel", func() { sheet.Close() })
	sheet = widgets.NewSheet(v.main.w.win.Canvas(), "Report a message", sheetWidth, widgets.Column(12, widgets.NewParagraph(text), scroll), cancel)
	sheet.Open(nil)
}

package view

import (
	"fmt"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"quicprochat/core/client"
	"quicprochat/ui/controller"
	"quicprochat/ui/theme"
	"quicprochat/ui/widgets"
)

const sheetWidth = 440

// dialog ties a sheet to a form: its problem, its busy state, and that it
// closes when the form is done.
type dialog struct {
	sheet   *widgets.Sheet
	problem *widgets.Paragraph
	form    *controller.Form
	button  *widgets.Button
	cancel  *widgets.Button
	caption string
	// held keeps the sheet open while the form is busy: closing it would lose
	// what comes of it.
	held bool
}

// newDialog makes a dialog whose main button is b.
func newDialog(w *Window, title string, form *controller.Form, b *widgets.Button, body ...fyne.CanvasObject) *dialog {
	d := &dialog{form: form, button: b, caption: b.Text, problem: widgets.NewParagraph("")}
	d.problem.SetColor(fynetheme.ColorNameError)
	d.problem.Hide()
	content := widgets.Column(14, append(body, d.problem)...)
	d.cancel = widgets.NewButton("Cancel", func() { d.sheet.Close() })
	d.sheet = widgets.NewSheet(w.win.Canvas(), title, sheetWidth, content, d.cancel, b)
	form.OnChange = d.update
	form.OnDone = d.sheet.Close
	return d
}

func (d *dialog) update() {
	d.problem.SetText(d.form.Problem())
	d.problem.Hidden = d.form.Problem() == ""
	setEnabled(d.button, !d.form.Busy())
	if d.held {
		setEnabled(d.cancel, !d.form.Busy())
		d.sheet.SetLocked(d.form.Busy())
	}
	setCaption(d.button, map[bool]string{false: d.caption, true: "One moment…"}[d.form.Busy()])
	d.sheet.Relayout()
}

// danger is the button for what cannot be undone.
func danger(text string, onTapped func()) *widgets.Button {
	b := widgets.NewButton(text, onTapped)
	b.Importance = widget.DangerImportance
	return b
}

// say tells that something has been done, or has not.
func (w *Window) say(title, text string) {
	var sheet *widgets.Sheet
	ok := primary("OK", func() { sheet.Close() })
	sheet = widgets.NewSheet(w.win.Canvas(), title, sheetWidth, widgets.NewParagraph(text), ok)
	sheet.Open(ok)
}

func (v *mainView) newChat() {
	c := v.c.NewChat()
	name := widgets.NewField("Name", widgets.NewEntry("bob"), "The name that the other person chose on this server.")
	people := container.NewVBox()
	scroll := container.NewVScroll(people)
	scroll.Hide()
	submit := func() { c.Submit(name.Entry.Text) }
	d := newDialog(v.w, "New conversation", &c.Form, primary("Start", submit), name, scroll)
	name.OnResized = d.sheet.Relayout
	name.Entry.OnSubmitted = func(string) { submit() }
	fill := func() {
		people.RemoveAll()
		for _, p := range c.Contacts(name.Entry.Text) {
			people.Add(personRow(p.Name, p.AccountID, nil, func() { c.Submit(p.Name) }))
		}
		scroll.SetMinSize(fyne.NewSize(100, min(people.MinSize().Height, 210)))
		setVisible(scroll, len(people.Objects) > 0)
		scroll.Refresh()
		d.sheet.Relayout()
	}
	name.Entry.OnChanged = func(string) { fill() }
	c.OnContacts = fill
	d.sheet.Open(name.Entry)
}

// personRow is a person in a list, with something at its end.
func personRow(name string, id client.AccountID, end fyne.CanvasObject, onTapped func()) fyne.CanvasObject {
	avatar := widgets.NewAvatar(36)
	avatar.Set(name, controller.Hue(id), false)
	parts := []fyne.CanvasObject{avatar, widgets.NewLine(name, fynetheme.SizeNameText).Truncated()}
	if end != nil {
		parts = append(parts, end)
	}
	t := widgets.NewTappable(widgets.Inset(7, 10, widgets.StretchRow(12, 1, parts...)), onTapped)
	if onTapped == nil {
		t.HoverFill = theme.Transparent
	}
	return t
}

func (v *mainView) newGroup() {
	c := v.c.NewGroup()
	title := widgets.NewField("Group name", widgets.NewEntry("Weekend hike"), "")
	people := widgets.NewChips("People", "Name", "Press Enter after each name.")
	submit := func() { c.Submit(title.Entry.Text, people.Names()) }
	d := newDialog(v.w, "New group", &c.Form, primary("Create", submit), title, people)
	title.Entry.OnSubmitted = func(string) { v.w.win.Canvas().Focus(people.Field.Entry) }
	people.OnSubmitted = submit
	people.OnChanged = d.sheet.Relayout
	d.sheet.Open(title.Entry)
}

func (v *conversationView) addPeople() {
	s := v.c.Settings()
	people := widgets.NewChips("People", "Name", "Press Enter after each name.")
	submit := func() { s.Add(people.Names()) }
	d := newDialog(v.main.w, "Add people", &s.Form, primary("Add", submit), people)
	people.OnSubmitted = submit
	people.OnChanged = d.sheet.Relayout
	d.sheet.Open(people.Field.Entry)
}

func (v *conversationView) rename() {
	s := v.c.Settings()
	title := widgets.NewField("Group name", widgets.NewEntry(""), "")
	title.Entry.SetText(v.c.Info().Title)
	submit := func() { s.Rename(title.Entry.Text) }
	d := newDialog(v.main.w, "Rename group", &s.Form, primary("Rename", submit), title)
	title.Entry.OnSubmitted = func(string) { submit() }
	d.sheet.Open(title.Entry)
}

func (v *conversationView) leave() {
	s := v.c.Settings()
	text := fmt.Sprintf("You will no longer receive messages of “%s”. What you have stays on this computer.", v.c.Info().Title)
	d := newDialog(v.main.w, "Leave this conversation?", &s.Form, danger("Leave", s.Leave), widgets.NewParagraph(text))
	d.sheet.Open(nil)
}

func (v *conversationView) showMembers() {
	s := v.c.Settings()
	list, problem := container.NewVBox(), widgets.NewParagraph("")
	problem.SetColor(fynetheme.ColorNameError)
	scroll := container.NewVScroll(list)
	buttons := []fyne.CanvasObject{}
	var sheet *widgets.Sheet
	if v.c.Info().CanManage {
		buttons = append(buttons, primary("Add people", func() { sheet.Close(); v.addPeople() }))
	}
	sheet = widgets.NewSheet(v.main.w.win.Canvas(), "Members", sheetWidth, widgets.Column(8, scroll, problem), buttons...)
	fill := func() {
		list.RemoveAll()
		for _, m := range v.c.Members() {
			list.Add(personRow(m.Name, m.AccountID, v.memberEnd(s, m), nil))
		}
		scroll.SetMinSize(fyne.NewSize(100, min(list.MinSize().Height, 340)))
		scroll.Refresh()
		problem.SetText(s.Problem())
		problem.Hidden = s.Problem() == ""
		sheet.Relayout()
	}
	s.OnChange = fill
	v.c.OnMembers = func() { v.showInfo(); fill() }
	sheet.OnClosed = func() { v.c.OnMembers = v.showInfo }
	fill()
	sheet.Open(nil)
}

// memberEnd is what stands at the end of a member's row.
func (v *conversationView) memberEnd(s *controller.Settings, m client.Member) fyne.CanvasObject {
	label := func(text string) fyne.CanvasObject { return widgets.NewLine(text, theme.SizeSmall).Muted() }
	switch {
	case m.Me && m.Admin:
		return label("You, administrator")
	case m.Me:
		return label("You")
	case v.c.Info().CanManage:
		remove := quiet("Remove", func() { s.Remove(m.AccountID) })
		setEnabled(remove, !s.Busy())
		return remove
	case m.Admin:
		return label("Administrator")
	default:
		return nil
	}
}

// invite shows the invite link of the server that this app hosts.
func (v *mainView) invite() {
	h := v.w.app.Hosting
	slot := container.NewStack()
	note := widgets.NewParagraph("Whoever has this link can make an account on your server.")
	sheet := widgets.NewSheet(v.w.win.Canvas(), "Invite people", sheetWidth, widgets.Column(16, note, slot))
	h.OnChange = func() {
		switch {
		case h.Busy():
			return
		case h.Problem() != "":
			note.SetText(h.Problem())
			note.SetColor(fynetheme.ColorNameError)
		case h.Link() != "":
			slot.Objects = []fyne.CanvasObject{widgets.Column(16, container.NewCenter(widgets.NewQR(h.Link(), 220)), linkRow(v.w, h.Link()))}
		}
		sheet.Relayout()
	}
	sheet.OnClosed = func() { h.OnChange = nil }
	sheet.Open(nil)
	h.Invite()
}

package view

import (
	"fmt"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"

	"quicprochat/core/client"
	"quicprochat/ui/widgets"
)

// blocking lists the blocked people.
func (v *mainView) blocking() {
	c := v.c.Blocking()
	name := widgets.NewField("Block somebody", widgets.NewEntry("Name"), "")
	note := widgets.NewParagraph("Invitations of people whom you block are declined without a word to them. You stay in conversations that you share.")
	people := container.NewVBox()
	scroll := container.NewVScroll(people)
	scroll.Hide()
	submit := func() { c.Block(name.Entry.Text) }
	d := newDialog(v.w, "Blocked people", &c.Form, primary("Block", submit), note, scroll, name)
	d.cancel.SetText("Done")
	d.fields(v.w, func() {}, submit, name)
	fill := func() {
		people.RemoveAll()
		for _, p := range c.List() {
			unblock := quiet("Unblock", func() { c.Unblock(p.AccountID) })
			setEnabled(unblock, !c.Busy())
			people.Add(personRow(nameOf(p), p.AccountID, unblock, nil))
		}
		scroll.SetMinSize(fyne.NewSize(100, min(people.MinSize().Height, 260)))
		setVisible(scroll, len(c.List()) > 0)
		scroll.Refresh()
		d.update()
	}
	c.OnList, c.OnChange = fill, fill
	c.OnDone = func() { name.Entry.SetText("") }
	d.sheet.Open(name.Entry)
}

func nameOf(p client.Contact) string {
	if p.Name == "" {
		return "Somebody you have not met here"
	}
	return p.Name
}

// block asks before it blocks the other person of a direct conversation.
func (v *mainView) block(name string, person client.AccountID) {
	c := v.c.Blocking()
	text := fmt.Sprintf("You will get no more invitations of %s, who is not told. The conversations that you have stay as they are: leave or mute them if you like. You can undo this in the settings.", name)
	d := newDialog(v.w, fmt.Sprintf("Block %s?", name), &c.Form, danger("Block", func() { c.BlockPerson(person) }), widgets.NewParagraph(text))
	d.sheet.Open(nil)
}

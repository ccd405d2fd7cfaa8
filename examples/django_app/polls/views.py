"""Pages of the polls."""

import csv
from pathlib import Path

from django.contrib import messages
from django.db import transaction
from django.db.models import F
from django.http import FileResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views import generic
from django.views.decorators.http import require_POST

from .forms import QuestionForm
from .models import Choice, Question


class IndexView(generic.ListView):
    model = Question
    paginate_by = 20
    template_name = "polls/index.html"


class QuestionView(generic.DetailView):
    model = Question
    template_name = "polls/question.html"


def ask(request):
    form = QuestionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            question = Question.objects.create(text=form.cleaned_data["text"])
            for text in form.cleaned_data["choices"]:
                question.choices.create(text=text)
        messages.success(request, "Your question is asked.")
        return redirect("polls:question", pk=question.pk)
    return render(request, "polls/ask.html", {"form": form})


@require_POST
def vote(request, pk):
    question = get_object_or_404(Question, pk=pk)
    choice = get_object_or_404(Choice, pk=request.POST.get("choice", 0), question=question)
    Choice.objects.filter(pk=choice.pk).update(votes=F("votes") + 1)
    messages.success(request, f"You chose {choice.text}.")
    return redirect("polls:question", pk=pk)


class Echo:
    """A file that gives back what is written to it, as the csv module needs one."""

    def write(self, value):
        return value


def results(_request):
    writer = csv.writer(Echo())
    rows = Choice.objects.values_list("question__text", "text", "votes").order_by("pk")

    def lines():
        yield writer.writerow(["question", "choice", "votes"])
        for row in rows.iterator(chunk_size=100):
            yield writer.writerow(row)

    return StreamingHttpResponse(
        lines(),
        content_type="text/csv",
        headers={"Content-Disposition": 'attachment; filename="results.csv"'},
    )


def source(_request):
    return FileResponse(Path(__file__).open("rb"), as_attachment=True, filename="views.py")

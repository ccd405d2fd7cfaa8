"""Addresses of the polls."""

from django.urls import path

from . import views

app_name = "polls"
urlpatterns = [
    path("", views.IndexView.as_view(), name="index"),
    path("ask/", views.ask, name="ask"),
    path("<int:pk>/", views.QuestionView.as_view(), name="question"),
    path("<int:pk>/vote/", views.vote, name="vote"),
    path("results.csv", views.results, name="results"),
    path("source/", views.source, name="source"),
]
